//! The append-only log: one contract, three keepers.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::envelope::{Envelope, Metadata, Position, StreamId, Version};
use crate::event::Event;

/// What one command records: all of it or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// One entry a stream, each stream once; at least one, none without events.
    pub writes: Vec<StreamWrite>,
    /// Given to every event.
    pub metadata: Metadata,
    /// When, by the clock of the server that took the command.
    pub recorded_at: DateTime<Utc>,
}

/// New events of one stream.
#[derive(Debug, Clone)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The version that the command was decided on; 0 if the stream must not exist yet.
    pub expected: Version,
    /// In order, at least one.
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
    /// The store did not take it. Whether a later attempt finds the events there is not known.
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
    ///
    /// # Errors
    /// [`AppendError::Conflict`] if one of the streams is not at its expected version.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// The events of a stream after `after`, in order; none if it does not exist.
    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// Up to `limit` events after `after`, in order of their positions, without gaps.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, ReadError>;

    /// The position of the last event.
    async fn head(&self) -> Result<Position, ReadError>;

    /// Changes when there may be something to read: a hint, which may come late or not at all for events of
    /// another process, so a reader also polls. Its value is the highest position this process knows of.
    fn watch(&self) -> watch::Receiver<Position>;
}
