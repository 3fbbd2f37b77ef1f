//! The append-only log: one contract, three keepers.
//!
//! A `Keeper` (`postgres`, `sqlite` or `memory`) stores and reads batches of events. The one [`EventLog`] over any of
//! them is in `grouped`: it queues appends, and its `writer` commits all that wait as one batch (group commit). `recent`
//! caches the newest events, decoded, so that readers at the end of the log read no table.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::database::Database;
use crate::envelope::{Envelope, Metadata, Position, Version};
use crate::event::Event;
use crate::segments::Archive;
use crate::stream::StreamId;

mod batch;
mod grouped;
pub(crate) mod keeper;
mod memory;
mod observer;
pub(crate) mod postgres;
mod recent;
pub(crate) mod sqlite;
mod threshold;
mod waiting;
mod whole;
mod writer;

use grouped::GroupedLog;
pub use observer::{CommittedBatch, LogObserver};
pub use recent::Recent;
pub use whole::{read_from_whole, read_newest};

/// Opens the log of a migrated database. Its background tasks run on the current runtime until [`EventLog::close`] is
/// called or the last clone of the log is dropped.
pub async fn open(database: &Database, settings: LogSettings) -> Result<Arc<dyn EventLog>, ReadError> {
    open_with(database, settings, None, Arc::new(())).await
}

/// As [`open`]. With the archive, streams of job logs are read whole, including the events that were archived. The
/// `observer` is called after each batch, for metrics.
pub async fn open_with(
    database: &Database,
    settings: LogSettings,
    archive: Option<Archive>,
    observer: Arc<dyn LogObserver>,
) -> Result<Arc<dyn EventLog>, ReadError> {
    Ok(match database {
        Database::Postgres(postgres) => {
            let keeper = postgres::PostgresKeeper::new(postgres.clone());
            Arc::new(GroupedLog::open(keeper, settings, archive, observer).await?)
        }
        Database::Sqlite(sqlite) => {
            let keeper = sqlite::SqliteKeeper::new(sqlite.clone());
            Arc::new(GroupedLog::open(keeper, settings, archive, observer).await?)
        }
    })
}

/// A log in memory, for tests of what is built on the log. Nothing outlives its value.
pub async fn in_memory(settings: LogSettings) -> Result<Arc<dyn EventLog>, ReadError> {
    Ok(Arc::new(GroupedLog::open(memory::MemoryKeeper::default(), settings, None, Arc::new(())).await?))
}

/// Queue, batch and cache sizes of a log within one process.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// Appends that may wait in the queue; a further one fails with [`AppendError::Overloaded`].
    pub queue_appends: usize,
    /// Bytes of payload that may wait in the queue. A single larger append is accepted when the queue is empty.
    pub queue_bytes: u32,
    /// Most appends in one batch.
    pub batch_appends: usize,
    /// Most bytes of payload in one batch. A single larger append is a batch of its own.
    pub batch_bytes: usize,
    /// Most bytes of payload that [`EventLog::read_all`] and [`EventLog::read_range`] return. A single larger event is
    /// returned alone.
    pub read_bytes: usize,
    /// Events in the cache of the newest ones.
    pub recent_events: usize,
    /// Bytes of payload in the cache of the newest events.
    pub recent_bytes: usize,
    /// How often a database that several processes share is polled for the events of the others.
    pub poll_interval: Duration,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            queue_appends: 4_096,
            queue_bytes: 64 << 20,
            batch_appends: 512,
            batch_bytes: 4 << 20,
            read_bytes: 16 << 20,
            recent_events: 8_192,
            recent_bytes: 16 << 20,
            poll_interval: Duration::from_millis(200),
        }
    }
}

/// The events of one command, appended atomically.
#[derive(Debug, Clone)]
pub struct Append {
    /// One entry for each stream, no stream twice; at least one of them has an event.
    pub writes: Vec<StreamWrite>,
    /// Stored with every event.
    pub metadata: Metadata,
    /// When the command was executed, by the clock of the server.
    pub recorded_at: DateTime<Utc>,
}

/// New events of one stream, or only the condition that it is still at the expected version.
#[derive(Debug, Clone)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The expected version: the one that the command was decided on; 0 if the stream must not exist yet.
    pub expected: Version,
    /// In order; empty where only the version is checked.
    pub events: Vec<Event>,
}

/// The events of an append, now durable.
#[derive(Debug, Clone)]
pub struct Appended {
    /// In order of their positions, which are consecutive.
    pub envelopes: Vec<Arc<Envelope>>,
}

impl Appended {
    /// The position of the last event.
    #[must_use]
    pub fn position(&self) -> Position {
        self.envelopes.last().map_or(Position::default(), |envelope| envelope.position)
    }
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream is not at its expected version: load it again and decide again.
    #[error("{stream} is not at version {expected} any more")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the command was decided on.
        expected: Version,
    },
    /// The append queue is full: the client should retry later.
    #[error("the append queue is full")]
    Overloaded,
    /// The store failed, or the log is closed. The events may have been stored nevertheless.
    #[error("the event log is unavailable")]
    Unavailable(#[source] StoreError),
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
#[error("the event log cannot be read")]
pub struct ReadError(#[from] pub StoreError);

/// An error of the database under a log or a read model.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// The log of all events. An append is durable when it returns. Positions are dense and in commit order, so a reader
/// that has seen position `p` never finds a new event at or below `p` later.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends the events of one command, all or none. A conflict affects no other append of the same batch. Dropping the
    /// future does not undo the append.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] if one of the streams is not at its expected version.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The events of a stream after version `after`, in order; empty if the stream does not exist. Includes archived
    /// events where the log has an archive.
    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// The last `count` events of a stream up to version `until`, in order. Without those that were archived.
    async fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// Up to `limit` events after position `after`, in order, without gaps except for events that were archived or purged.
    /// Fewer where the payloads would exceed [`LogSettings::read_bytes`]; empty only at the end of the log.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// All events after position `after` and up to the returned position, in order, without gaps except for events that were
    /// archived or purged. The returned position is that of the last event; `until`, if there is none. More events may follow
    /// where the payloads would exceed [`LogSettings::read_bytes`]. Read from the table, never from the cache:
    /// what was taken out of the log is not returned.
    async fn read_range(
        &self,
        after: Position,
        until: Position,
    ) -> Result<(Vec<Arc<Envelope>>, Position), ReadError>;

    /// The events at these positions, in order; positions without an event are skipped.
    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// The position of the last event.
    async fn head(&self) -> Result<Position, ReadError>;

    /// The highest position that this process knows of; changes when there is something new to read. Only a hint: for
    /// events of another process it may come late or not at all, so readers also poll.
    fn watch(&self) -> watch::Receiver<Position>;

    /// The archive, if this log was opened with one.
    fn archive(&self) -> Option<&Archive>;

    /// Refuses new appends, commits those that wait, and ends the background tasks. Reads still work.
    async fn close(&self);
}
