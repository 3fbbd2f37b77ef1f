//! Notices that the database has lost events which this process has seen: after a failover to a standby that lacked
//! the last commits, or after a backup was restored.
//!
//! What is in memory (the newest events, versions of streams, states of aggregates, rows that are folded but not stored)
//! was made from those events, and must not meet the log that goes on without them. So no connection that a
//! [`DedicatedPool`](super::DedicatedPool) opens is used before the last event was found over it: as a database loses
//! events from the end, it has all others too. A process that misses it has to begin again.

use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::envelope::Position;
use crate::id::EventId;
use crate::log::StoreError;

/// The head, and the event at a position: none if it is archived or purged. A standby that lags has lost nothing.
const LOOK: &str = "select (select coalesce(max(position), 0) from events),
    (select event_id from events where position = $1), pg_is_in_recovery()";

/// The last event that a process has appended or read.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    event: Mutex<Option<(Position, EventId)>>,
    /// Cancelled once the database has been found without the event.
    lost: CancellationToken,
}

/// The database does not have the last event that was seen.
#[derive(Debug, thiserror::Error)]
#[error("the database has lost events that were seen in it, up to position {0}")]
struct EventsLost(Position);

impl LastSeen {
    /// Notes that this event is in the log.
    pub(crate) fn note(&self, position: Position, event_id: EventId) {
        let mut event = self.event.lock().unwrap_or_else(PoisonError::into_inner);
        if event.is_none_or(|(last, _)| position > last) {
            *event = Some((position, event_id));
        }
    }

    /// Ends when the database is found to have lost events.
    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Looks for the last event over a connection that was just opened.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if self.event().is_some() { self.find_head(connection).await.map(drop) } else { Ok(()) }
    }

    /// The position of the last event of the log.
    ///
    /// # Errors
    /// If the log does not have the event that was seen last.
    pub(crate) async fn find_head(&self, connection: &mut PgConnection) -> Result<Position, StoreError> {
        let seen = self.event();
        let position = seen.map_or(0, |(position, _)| position.0.cast_signed());
        let (head, found, is_standby): (i64, Option<Uuid>, bool) =
            sqlx::query_as(LOOK).bind(position).fetch_one(connection).await?;
        let head = Position(head.cast_unsigned());
        if let Some((position, event_id)) = seen.filter(|_| !is_standby)
            && (head < position || found.is_some_and(|found| found != event_id.as_uuid()))
        {
            self.lost.cancel();
            return Err(EventsLost(position).into());
        }
        Ok(head)
    }

    fn event(&self) -> Option<(Position, EventId)> {
        *self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
