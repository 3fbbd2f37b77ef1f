//! What a store under the log has to do. Queueing, batching, memory and waking are not its business.

use std::future::{self, Future};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::envelope::{Envelope, Position, Version};
use crate::event::Event;
use crate::id::EventId;
use crate::log::StoreError;
use crate::log::batch::{Batch, Committed};
use crate::stream::{StreamId, StreamType};

/// A store of events.
pub(super) trait Keeper: Send + Sync + 'static {
    /// How many batches may be committed at once. More than one where a batch can travel while another is stored.
    const CONCURRENT_COMMITS: usize = 1;

    /// Stores the batch durably, in one transaction, with dense positions in commit order. A stale write leaves its
    /// append out. No more calls at a time than [`Self::CONCURRENT_COMMITS`].
    fn commit(&self, batch: Batch<'_>) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// The events of a stream after `after`, in order.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// Up to `limit` events after `after`, in order of their positions.
    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The length of the payloads that [`Self::read_all`] would return, in bytes.
    fn payload_bytes(
        &self,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// All events after `after` and up to `until`, in order of their positions.
    fn read_range(
        &self,
        after: Position,
        until: Position,
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The events at these positions, in order; without those that are not there.
    fn read_at(
        &self,
        positions: &[Position],
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The position of the last event.
    fn head(&self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// Raises `head` when another process appends, until told to stop. Nothing to do where nobody else can.
    fn follow_others(
        self: Arc<Self>,
        _head: Arc<watch::Sender<Position>>,
        _poll_interval: Duration,
        _stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        future::ready(())
    }
}

/// A row that is not what this build, or any before it, could have stored.
#[derive(Debug, thiserror::Error)]
#[error("the event at position {position} has an unreadable {column}")]
pub(crate) struct CorruptRow {
    position: Position,
    column: &'static str,
    #[source]
    source: StoreError,
}

/// An event as both databases store it, before its texts are read.
#[derive(Debug)]
pub(crate) struct EventRow<'r> {
    pub(crate) position: Position,
    pub(crate) aggregate_type: &'r str,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: Version,
    pub(crate) event_type: &'r str,
    pub(crate) event_version: &'r str,
    pub(crate) payload: &'r str,
    pub(crate) metadata: &'r str,
    pub(crate) event_id: EventId,
    pub(crate) recorded_at: DateTime<Utc>,
}

impl EventRow<'_> {
    /// Reads the texts. A payload, or a kind of stream, that this build does not know is an [`Event::Unreadable`], and no
    /// error.
    pub(crate) fn decode(self) -> Result<Envelope, CorruptRow> {
        let position = self.position;
        let corrupt = |column, source| CorruptRow { position, column, source };
        let kind = StreamType::stored(self.aggregate_type);
        let version = self.event_version.parse().map_err(|e| corrupt("event_version", Box::from(e)))?;
        let metadata = serde_json::from_str(self.metadata).map_err(|e| corrupt("metadata", e.into()))?;
        Ok(Envelope {
            position,
            event_id: self.event_id,
            stream: StreamId { kind, id: self.aggregate_id },
            sequence: self.sequence,
            recorded_at: self.recorded_at,
            metadata,
            event: Event::decode(kind, self.event_type, version, self.payload),
        })
    }
}
