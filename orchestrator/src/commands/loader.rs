//! Loads an aggregate by replaying its stream: a whole one on PostgreSQL through postgres-es, and else from the
//! [`EventLog`]. Of streams that become long, only the part is read that the state depends on.

use std::sync::Arc;

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateError, EventStore};
use postgres_es::PostgresEventRepository;
use rivet_events::cqrs::{AggregateEvent, upcasters};
use rivet_events::database::Database;
use rivet_events::log::{EventLog, ReadError, StoreError, read_from_whole, read_newest};
use rivet_events::{Envelope, Event, Position, StreamId, StreamType, Version};

use crate::domain::job_log::REMEMBERED_BATCHES;
use crate::domain::{AggregateOf, Decider};

/// Reads the events of one kind of aggregate.
pub(super) struct Loader<S: Decider> {
    log: Arc<dyn EventLog>,
    /// postgres-es, whose table layout our events table has; `None` over SQLite.
    repository: Option<PersistedEventStore<PostgresEventRepository, AggregateOf<S>>>,
}

/// Why a stream could not be loaded.
pub(super) enum LoadError {
    Unavailable(StoreError),
    Corrupt(StoreError),
}

impl<S: Decider> Loader<S> {
    pub(super) fn new(database: &Database, log: Arc<dyn EventLog>) -> Self {
        let repository = match database {
            Database::Postgres(postgres) => {
                let repository = PostgresEventRepository::new(postgres.pool.clone());
                Some(PersistedEventStore::new_event_store(repository).with_upcasters(upcasters()))
            }
            Database::Sqlite(_) => None,
        };
        Self { log, repository }
    }

    /// The state after all events of the stream, and its version. A stream that does not exist gives the default state
    /// at version 0.
    pub(super) async fn load(&self, stream: &StreamId) -> Result<(S, Version), LoadError> {
        let (state, none) = (S::default(), Version::default());
        if let Some(events) = read_part(&*self.log, stream).await.transpose() {
            return replay(state, none, events);
        }
        let Some(repository) = &self.repository else {
            return self.read_on(stream, state, none).await;
        };
        let events = repository.load_events(&stream.id).await.map_err(repository_error)?;
        let Some(last) = events.last() else { return Ok((state, none)) };
        let version = Version(last.sequence as u64);
        // Only what the log has read counts as seen, so that this process ends if the database loses it.
        let seen = self.log.read_stream_end(stream, version, 1).await.map_err(unavailable)?;
        if seen.first().is_none_or(|last| last.sequence != version) {
            return self.read_on(stream, state, none).await;
        }
        Ok((events.into_iter().map(|envelope| envelope.payload).fold(state, S::evolve), version))
    }

    /// The state, which is known as of `version`, after all events that follow, and its version.
    pub(super) async fn read_on(
        &self,
        stream: &StreamId,
        state: S,
        version: Version,
    ) -> Result<(S, Version), LoadError> {
        replay(state, version, self.log.read_stream(stream, version).await)
    }
}

/// The state, which is known as of `version`, after these events, and its version.
fn replay<S: Decider>(
    mut state: S,
    mut version: Version,
    events: Result<Vec<Arc<Envelope>>, ReadError>,
) -> Result<(S, Version), LoadError> {
    for envelope in events.map_err(unavailable)? {
        let event = S::Event::from_event(&envelope.event)
            .ok_or_else(|| LoadError::Corrupt(unreadable(&envelope.event).into()))?;
        version = envelope.sequence;
        state = state.evolve(event.clone());
    }
    Ok((state, version))
}

/// The events that the state depends on, where these are only a part of the stream, which only the log can read; `None`
/// for the other kinds of streams.
async fn read_part(log: &dyn EventLog, stream: &StreamId) -> Result<Option<Vec<Arc<Envelope>>>, ReadError> {
    match stream.kind {
        StreamType::Group | StreamType::Runner => {
            read_from_whole(log, stream, Position::MAX, |_| true).await.map(Some)
        }
        StreamType::JobLog => read_remembered(log, stream).await.map(Some),
        StreamType::Pipeline => read_newest(log, stream, Position::MAX).await.map(Some),
        StreamType::Job
        | StreamType::Claim
        | StreamType::Projection
        | StreamType::Webhook
        | StreamType::Archive
        | StreamType::Unknown(_) => Ok(None),
    }
}

/// The last events of a job's log, which are all that its state depends on.
async fn read_remembered(log: &dyn EventLog, stream: &StreamId) -> Result<Vec<Arc<Envelope>>, ReadError> {
    let events = log.read_stream_end(stream, Version::MAX, REMEMBERED_BATCHES).await?;
    let is_first = |first: &Arc<Envelope>| first.sequence == Version(1);
    if events.len() == REMEMBERED_BATCHES || events.first().is_some_and(is_first) {
        return Ok(events);
    }
    // There are none, or the ones before them are in the archive.
    log.read_stream(stream, Version::default()).await
}

fn unavailable(error: ReadError) -> LoadError {
    LoadError::Unavailable(error.0)
}

fn unreadable(event: &Event) -> String {
    let why =
        if let Event::Unreadable(unreadable) = event { &unreadable.error } else { "of another aggregate" };
    format!("event {} version {}: {why}", event.event_type(), event.event_version())
}

fn repository_error<E: std::error::Error>(error: AggregateError<E>) -> LoadError {
    match error {
        AggregateError::DeserializationError(error) => LoadError::Corrupt(error),
        AggregateError::DatabaseConnectionError(error) | AggregateError::UnexpectedError(error) => {
            LoadError::Unavailable(error)
        }
        AggregateError::UserError(_) | AggregateError::AggregateConflict => {
            LoadError::Unavailable(error.to_string().into())
        }
    }
}

#[cfg(test)]
mod tests;
