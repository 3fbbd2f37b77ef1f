//! Notices that the database has lost events which this process has seen: after a failover to a standby that lacked
//! the last commits, or after a backup was restored.
//!
//! What is in memory (the newest events, versions of streams, states of aggregates, rows that are folded but not stored)
//! was made from those events, and must not meet the log that goes on without them. So no connection is used before the
//! last event was found over it: as a database loses events from the end, it has all others too. A process that misses
//! it has to begin again.

use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::envelope::Position;
use crate::id::EventId;
use crate::log::StoreError;

/// The last event, and the one at a position: none if it is archived or purged.
const LOOK: &str = "
    select position, event_id, (select event_id from events where position = $1) from events
    order by position desc limit 1";

type Event = (Position, EventId);

/// The last event that a process has appended or read, or that it has found as the last one.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    event: Mutex<Option<Event>>,
    /// Cancelled once the database has been found without the event.
    lost: CancellationToken,
}

/// The end of a log.
struct End {
    head: Option<Event>,
    /// The event at the position of the one that was seen last.
    there: Option<EventId>,
}

/// The last event that was seen is missing.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error("the database is a standby that is behind position {0}")]
    OnStandby(Position),
    #[error("the database has lost events that were seen in it, up to position {0}")]
    Lost(Position),
}

impl LastSeen {
    /// Notes that this event is in the log.
    pub(crate) fn note(&self, position: Position, event_id: EventId) {
        let mut event = self.event.lock().unwrap_or_else(PoisonError::into_inner);
        if event.is_none_or(|(last, _)| position > last) {
            *event = Some((position, event_id));
        }
    }

    /// Cancelled once the database is found to have lost events.
    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Looks for the event over a connection that was just opened.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if self.event().is_some() { self.find_head(connection).await.map(drop) } else { Ok(()) }
    }

    /// The position of the last event of the log.
    ///
    /// # Errors
    /// If the log does not have the event that was seen last.
    pub(crate) async fn find_head(&self, connection: &mut PgConnection) -> Result<Position, StoreError> {
        let seen = self.event();
        let mut end = End::look(connection, seen).await?;
        if let Some(position) = end.lacks(seen) {
            let is_standby: bool =
                sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut *connection).await?;
            // A standby may have received it meanwhile, and have been promoted.
            end = End::look(connection, seen).await?;
            if end.lacks(seen).is_some() {
                if is_standby {
                    return Err(Missing::OnStandby(position).into());
                }
                self.lost.cancel();
                return Err(Missing::Lost(position).into());
            }
        }
        let Some((head, event_id)) = end.head else { return Ok(Position::default()) };
        self.note(head, event_id);
        Ok(head)
    }

    fn event(&self) -> Option<Event> {
        *self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    async fn look(connection: &mut PgConnection, seen: Option<Event>) -> Result<Self, StoreError> {
        let position = seen.map_or(0, |(position, _)| position.to_sql());
        let found: Option<(i64, Uuid, Option<Uuid>)> =
            sqlx::query_as(LOOK).bind(position).fetch_optional(connection).await?;
        Ok(match found {
            Some((head, event_id, there)) => Self {
                head: Some((Position::from_sql(head), event_id.into())),
                there: there.map(EventId::from),
            },
            None => Self { head: None, there: None },
        })
    }

    /// The position of the event that was seen, if it is missing.
    fn lacks(&self, seen: Option<Event>) -> Option<Position> {
        let (position, event_id) = seen?;
        let is_shorter = self.head.is_none_or(|(head, _)| head < position);
        let is_another = self.there.is_some_and(|there| there != event_id);
        (is_shorter || is_another).then_some(position)
    }
}
