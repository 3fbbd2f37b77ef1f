//! Keeps events in memory only, for tests of what is built on the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::envelope::{Envelope, Position, Version};
use crate::log::StoreError;
use crate::log::batch::{Batch, Committed};
use crate::log::keeper::{Keeper, Range};
use crate::stream::StreamId;

/// A vector of events.
#[derive(Debug, Default)]
pub(super) struct MemoryKeeper {
    events: Mutex<Events>,
}

#[derive(Debug, Default)]
struct Events {
    /// Position `p` is at `p - 1`.
    all: Vec<Arc<Envelope>>,
    /// Sequence `s` is at `s - 1`.
    streams: HashMap<StreamId, Vec<Arc<Envelope>>>,
}

impl Events {
    fn stream(&self, stream: &StreamId) -> &[Arc<Envelope>] {
        self.streams.get(stream).map_or(&[], Vec::as_slice)
    }
}

impl MemoryKeeper {
    fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An index into a vector; past the end of any vector where `usize` is too small for it.
fn index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

impl Keeper for MemoryKeeper {
    async fn commit(&self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        let mut events = self.events();
        let base = Position(events.all.len() as u64);
        let stale_writes: Vec<usize> = (0..)
            .zip(batch.writes())
            .filter(|(_, (_, write))| events.stream(&write.stream).len() as u64 != write.expected.0)
            .map(|(place, _)| place)
            .collect();
        for (position, (_, event)) in (base.0 + 1..).zip(batch.accepted(&stale_writes)) {
            let envelope = Arc::new(Envelope { position: Position(position), ..event.envelope.clone() });
            events.all.push(Arc::clone(&envelope));
            events.streams.entry(envelope.stream.clone()).or_default().push(envelope);
        }
        Ok(Committed { base, stale_writes })
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        Ok(self.events().stream(stream).get(index(after.0)..).unwrap_or_default().to_vec())
    }

    async fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let events = self.events();
        let stream = events.stream(stream);
        let stream = &stream[..stream.len().min(index(until.0))];
        Ok(stream[stream.len().saturating_sub(count)..].to_vec())
    }

    async fn read_range(&self, range: Range) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let Range { after, until, limit, bytes } = range;
        let events = self.events();
        let rest = events.all.get(index(after.0)..index(until.0).min(events.all.len())).unwrap_or_default();
        let (mut read, mut total) = (Vec::new(), 0);
        for envelope in rest.iter().take(limit) {
            total += serde_json::to_string(&envelope.event)?.len();
            if total > bytes && !read.is_empty() {
                break;
            }
            read.push(Arc::clone(envelope));
        }
        Ok(read)
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let events = self.events();
        let at = |position: &Position| events.all.get(index(position.0.checked_sub(1)?)).cloned();
        Ok(positions.iter().filter_map(at).collect())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(Position(self.events().all.len() as u64))
    }
}
