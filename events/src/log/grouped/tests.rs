//! Given a keeper that commits two batches at once, then what its readers see.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::DateTime;
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::*;
use crate::envelope::Metadata;
use crate::event::Event;
use crate::log::batch::{Batch, Committed};
use crate::log::memory::MemoryKeeper;
use crate::log::{StoreError, StreamWrite};
use crate::runner::{RunnerEvent, RunnerRemoved};
use crate::stream::StreamType;

/// Stores its second batch before the first one, and fails reads of its table.
#[derive(Default)]
struct Overtaking {
    begun: AtomicUsize,
    second_is_stored: Notify,
    memory: MemoryKeeper,
}

impl Keeper for Overtaking {
    const CONCURRENT_COMMITS: usize = 2;

    async fn commit(&self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        if self.begun.fetch_add(1, Ordering::Relaxed) == 0 {
            self.second_is_stored.notified().await;
        }
        let committed = self.memory.commit(batch).await;
        self.second_is_stored.notify_one();
        committed
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        self.memory.read_stream(stream, after).await
    }

    async fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> Result<Vec<Arc<Envelope>>, StoreError> {
        self.memory.read_stream_end(stream, until, count).await
    }

    async fn read_range(&self, _range: Range) -> Result<Vec<Arc<Envelope>>, StoreError> {
        Err("the table was read".into())
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, StoreError> {
        self.memory.read_at(positions).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.memory.head().await
    }
}

/// The first event of a stream.
fn first(stream: usize) -> Append {
    let removed = RunnerRemoved { runner_id: "r".parse().unwrap(), removed_at: DateTime::UNIX_EPOCH };
    let write = StreamWrite {
        stream: StreamId::new(StreamType::Runner, stream),
        expected: Version(0),
        events: vec![Event::Runner(RunnerEvent::Removed(removed))],
    };
    Append { writes: vec![write], metadata: Metadata::default(), recorded_at: DateTime::UNIX_EPOCH }
}

#[tokio::test]
async fn a_batch_that_was_overtaken_is_read_from_memory_all_the_same() {
    let log =
        GroupedLog::open(Overtaking::default(), LogSettings::default(), None, Arc::new(())).await.unwrap();
    let slow = log.append(first(0));
    let fast = async {
        while log.keeper.begun.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        join_all((1..=64).map(|stream| log.append(first(stream)))).await
    };
    let (slow, fast) = tokio::join!(slow, fast);
    let positions: Vec<u64> =
        log.read_all(Position(0), 100).await.unwrap().iter().map(|e| e.position.0).collect();
    assert_eq!(positions, (1..=65).collect::<Vec<_>>());
    let overtook = fast
        .into_iter()
        .filter(|other| other.as_ref().unwrap().position() < slow.as_ref().unwrap().position());
    assert!(overtook.count() > 0);
    log.close().await;
}
