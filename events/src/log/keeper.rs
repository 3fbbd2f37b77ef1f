//! The interface of a store under the log: commit a batch, read events. Queueing, batching, caching and notifying readers
//! are done once, above it.

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
    /// How many batches may be in flight at once. More than one where a batch can be sent while another is being stored.
    const CONCURRENT_COMMITS: usize = 1;

    /// Stores the batch durably, in one transaction, with dense positions in commit order. An append with a stale write is
    /// left out. Called at most [`Self::CONCURRENT_COMMITS`] times concurrently.
    fn commit(&self, batch: Batch<'_>) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// Whether a batch was not stored because of what it contains: without the append at fault, it could be.
    fn is_refusal(_error: &StoreError) -> bool {
        false
    }

    /// The events of a stream after `after`, in order.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The last `count` events of a stream up to version `until`, in order.
    fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The first events of a range that fit its bounds, at least one if there is any, in order of their positions.
    fn read_range(&self, range: Range)
    -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The events at these positions, in order; positions without an event are skipped.
    fn read_at(
        &self,
        positions: &[Position],
    ) -> impl Future<Output = Result<Vec<Arc<Envelope>>, StoreError>> + Send;

    /// The position of the last event.
    fn head(&self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// Raises `head` when another process appends, until `stop`. The default is for stores that no other process writes to.
    fn follow_others(
        self: Arc<Self>,
        _head: Arc<watch::Sender<Position>>,
        _poll_interval: Duration,
        _stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        future::ready(())
    }
}

/// What to read of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// The position before the range.
    pub(super) after: Position,
    /// The last position of the range.
    pub(super) until: Position,
    /// Most events to read.
    pub(super) limit: usize,
    /// Most bytes of payload to read. A single larger event is read alone.
    pub(super) bytes: usize,
}

/// A count as an argument of a query.
pub(super) fn to_sql(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An event as both databases store it, before its texts are parsed.
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
    /// Parses the texts. What this build cannot read, by its payload, its stream type, its version or its metadata, becomes
    /// [`Event::Unreadable`]: one damaged row must not keep anybody from reading the others. Metadata that cannot be read is
    /// left out.
    pub(crate) fn decode(self) -> Envelope {
        let kind = StreamType::stored(self.aggregate_type);
        let version = self.event_version.parse();
        let metadata = serde_json::from_str(self.metadata);
        let error = match (&version, &metadata) {
            (Err(error), _) => Some(format!("its version: {error}")),
            (_, Err(error)) => Some(format!("its metadata: {error}")),
            (Ok(_), Ok(_)) => None,
        };
        let version = version.unwrap_or_default();
        Envelope {
            position: self.position,
            event_id: self.event_id,
            stream: StreamId { kind, id: self.aggregate_id },
            sequence: self.sequence,
            recorded_at: self.recorded_at,
            metadata: metadata.unwrap_or_default(),
            event: match error {
                Some(error) => Event::unreadable(self.event_type, version, self.payload, error),
                None => Event::decode(kind, self.event_type, version, self.payload),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn decoded(event_version: &str, metadata: &str) -> Envelope {
        let row = EventRow {
            position: Position(7),
            aggregate_type: "claim",
            aggregate_id: "a".to_owned(),
            sequence: Version(1),
            event_type: "claim.answered",
            event_version,
            payload: include_str!("../../golden/claim.answered.v1.json"),
            metadata,
            event_id: EventId::generate(),
            recorded_at: DateTime::UNIX_EPOCH,
        };
        row.decode()
    }

    #[test]
    fn an_event_with_a_damaged_version_or_metadata_cannot_be_read_and_no_other() {
        for (version, metadata, error) in
            [("1.0", "{}", "its version: "), ("1", "x", "its metadata: "), ("1", "[1]", "its metadata: ")]
        {
            let envelope = decoded(version, metadata);
            let Event::Unreadable(unreadable) = &envelope.event else { panic!("{envelope:?}") };
            assert!(unreadable.error.starts_with(error), "{}", unreadable.error);
            assert_eq!((envelope.position, envelope.event.event_type()), (Position(7), "claim.answered"));
            assert!(unreadable.payload.get().contains("job_id"));
        }
        assert!(!matches!(decoded("1", "{}").event, Event::Unreadable(_)));
    }
}
