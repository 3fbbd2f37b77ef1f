//! Loads an aggregate by replaying its stream: a whole one on PostgreSQL through postgres-es, and else from the
//! [`EventLog`].

use std::sync::Arc;

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateError, EventStore};
use postgres_es::PostgresEventRepository;
use rivet_events::cqrs::{AggregateEvent, upcasters};
use rivet_events::database::Database;
use rivet_events::log::{EventLog, StoreError};
use rivet_events::{Event, StreamId, StreamType, Version};

/// Reads the events of one kind of aggregate.
pub(super) struct Loader<A: Aggregate> {
    log: Arc<dyn EventLog>,
    /// postgres-es, whose table layout our events table has; `None` where only the log can read whole streams.
    repository: Option<PersistedEventStore<PostgresEventRepository, A>>,
}

/// Why a stream could not be loaded.
pub(super) enum LoadError {
    Unavailable(StoreError),
    Corrupt(StoreError),
}

impl<A: Aggregate<Event: AggregateEvent>> Loader<A> {
    pub(super) fn new(database: &Database, log: Arc<dyn EventLog>) -> Self {
        let repository = match database {
            // Events of job logs may be in the archive, where only the log can read them.
            Database::Postgres(_) if A::TYPE == StreamType::JobLog.as_str() => None,
            Database::Postgres(pool) => {
                let repository = PostgresEventRepository::new(pool.clone());
                Some(PersistedEventStore::new_event_store(repository).with_upcasters(upcasters()))
            }
            Database::Sqlite(_) => None,
        };
        Self { log, repository }
    }

    /// The aggregate after all of its events, and its version. A stream that does not exist gives the default state
    /// at version 0.
    pub(super) async fn load(&self, stream: &StreamId) -> Result<(A, Version), LoadError> {
        let (mut aggregate, mut version) = (A::default(), Version::default());
        let Some(repository) = &self.repository else {
            return self.read_on(stream, aggregate, version).await;
        };
        for envelope in repository.load_events(&stream.id).await.map_err(repository_error)? {
            version = Version(envelope.sequence as u64);
            aggregate.apply(envelope.payload);
        }
        Ok((aggregate, version))
    }

    /// The aggregate, which is known as of `version`, after all events that follow, and its version.
    pub(super) async fn read_on(
        &self,
        stream: &StreamId,
        mut aggregate: A,
        mut version: Version,
    ) -> Result<(A, Version), LoadError> {
        let envelopes = self.log.read_stream(stream, version).await;
        for envelope in envelopes.map_err(|error| LoadError::Unavailable(error.0))? {
            let event = A::Event::from_event(&envelope.event)
                .ok_or_else(|| LoadError::Corrupt(unreadable(&envelope.event).into()))?;
            version = envelope.sequence;
            aggregate.apply(event.clone());
        }
        Ok((aggregate, version))
    }
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
