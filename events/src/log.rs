//! The append-only log: one contract, three keepers.
//!
//! [`open`] puts a `Keeper` (`postgres`, `sqlite` or `memory`: how a batch is stored and read)
//! under the one [`EventLog`] in `grouped`, whose `writer` takes all appends that wait and gives them to the keeper
//! as one batch. `recent` keeps the last of them decoded, for those who follow the log.

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

mod archived;
mod batch;
mod crowd;
mod grouped;
mod heads;
pub(crate) mod keeper;
mod memory;
mod observer;
pub(crate) mod postgres;
mod recent;
pub(crate) mod sqlite;
mod waiting;
mod writer;

use grouped::GroupedLog;
pub use observer::{CommittedBatch, LogObserver};
pub use recent::Recent;

/// Opens the log of a migrated database. Its tasks run on the current runtime until [`EventLog::close`], or until
/// the last clone of the log is dropped.
pub async fn open(database: &Database, settings: LogSettings) -> Result<Arc<dyn EventLog>, ReadError> {
    open_observed(database, settings, Arc::new(())).await
}

/// As [`open`], with somebody who is told of each batch.
pub async fn open_observed(
    database: &Database,
    settings: LogSettings,
    observer: Arc<dyn LogObserver>,
) -> Result<Arc<dyn EventLog>, ReadError> {
    Ok(match database {
        Database::Postgres(pool) => {
            let keeper = postgres::PostgresKeeper::new(pool.clone());
            Arc::new(GroupedLog::open(keeper, settings, observer).await?)
        }
        Database::Sqlite(sqlite) => {
            let keeper = sqlite::SqliteKeeper::new(sqlite.clone());
            Arc::new(GroupedLog::open(keeper, settings, observer).await?)
        }
    })
}

/// The same log, whose job logs are read whole: also what of them was archived.
#[must_use]
pub fn with_archive(log: Arc<dyn EventLog>, archive: Archive) -> Arc<dyn EventLog> {
    Arc::new(archived::ArchivedLog { log, archive })
}

/// A log that lives as long as its value: for tests of what stands above the log.
pub async fn in_memory(settings: LogSettings) -> Result<Arc<dyn EventLog>, ReadError> {
    Ok(Arc::new(GroupedLog::open(memory::MemoryKeeper::default(), settings, Arc::new(())).await?))
}

/// The bounds of a log within one process.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// Appends that may wait; one more is [`AppendError::Overloaded`].
    pub queue_appends: usize,
    /// Bytes of payload that may wait. A single larger append is taken when nothing else waits.
    pub queue_bytes: u32,
    /// Appends that are committed together at most.
    pub batch_appends: usize,
    /// Bytes of payload that are committed together at most. A single larger append is a batch of its own.
    pub batch_bytes: usize,
    /// Bytes of payload that are read together at most. A single larger event is read alone.
    pub read_bytes: usize,
    /// Events kept in memory for those who follow the log.
    pub recent_events: usize,
    /// Bytes of payload kept in memory for those who follow the log.
    pub recent_bytes: usize,
    /// Streams whose version is remembered after an append, at least; up to twice as many.
    pub known_streams: usize,
    /// How often the database is asked for events of other processes, where there can be any.
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
            known_streams: 16_384,
            poll_interval: Duration::from_millis(200),
        }
    }
}

/// What one command records: all of it or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// One entry a stream, each stream once; with at least one event among them.
    pub writes: Vec<StreamWrite>,
    /// Given to every event.
    pub metadata: Metadata,
    /// When, by the clock of the server that took the command.
    pub recorded_at: DateTime<Utc>,
}

/// New events of one stream, or only the condition that it has not moved.
#[derive(Debug, Clone)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The version that the command was decided on; 0 if the stream must not exist yet.
    pub expected: Version,
    /// In order; none where only the version is to be checked.
    pub events: Vec<Event>,
}

/// A command's events, durable.
#[derive(Debug, Clone)]
pub struct Appended {
    /// In order of their positions, which follow each other.
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
    /// A stream has moved on since the command was decided: load again, decide again.
    #[error("{stream} is not at version {expected} any more")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the command was decided on.
        expected: Version,
    },
    /// The queue of waiting appends is full: the client should come back later.
    #[error("the append queue is full")]
    Overloaded,
    /// The store did not take it, or the log is closed. Whether a later attempt finds the events there is not known.
    #[error("the event log is unavailable")]
    Unavailable(#[source] StoreError),
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
#[error("the event log cannot be read")]
pub struct ReadError(#[from] pub StoreError);

/// What the database under a log or a read model said.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// The log of all events. Appends are durable when they return; positions are dense and in commit order, so that
/// a reader who has seen position `p` never later finds an event at or below `p`.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends what one command decided, all of it or nothing. A conflict in one append does not touch others.
    /// A caller that stops waiting does not undo its append.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] if one of the streams is not at its expected version.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The events of a stream after `after`, in order; none if it does not exist. Where there is an archive, what it
    /// holds of the stream is among them.
    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// Up to `limit` events after `after`, in order of their positions, without gaps but for what was archived or purged.
    /// Fewer where their payloads would be more than [`LogSettings::read_bytes`], but none only at the end of the log.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// All events after `after` and up to the position returned with them, in order of their positions, without gaps but for
    /// what was archived or purged; nothing that is not in the log any more. That position is `until`, or an earlier one
    /// where the payloads would be more than [`LogSettings::read_bytes`].
    async fn read_range(
        &self,
        after: Position,
        until: Position,
    ) -> Result<(Vec<Arc<Envelope>>, Position), ReadError>;

    /// The events at these positions, in order; without those that are not there, or not any more.
    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// The position of the last event.
    async fn head(&self) -> Result<Position, ReadError>;

    /// Changes when there may be something to read: a hint, which may come late or not at all for events of
    /// another process, so a reader also polls. Its value is the highest position this process knows of.
    fn watch(&self) -> watch::Receiver<Position>;

    /// What was taken out of the log, where this process knows of it.
    fn archive(&self) -> Option<&Archive> {
        None
    }

    /// Takes no more appends, makes durable what waits, and ends the log's tasks. Reading goes on.
    async fn close(&self);
}
