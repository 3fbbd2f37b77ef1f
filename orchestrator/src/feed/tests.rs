//! Readers of one feed, over a log in memory.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use rivet_events::id::RunnerId;
use rivet_events::log::{Append, EventLog, LogSettings, StreamWrite, in_memory};
use rivet_events::runner::{RunnerEvent, RunnerRemoved};
use rivet_events::{Event, Metadata, Position, StreamId, Version};
use tokio::time::Instant;

use super::{Feed, FeedEvent, Filter, Follower};

/// Longest wait for what is there.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn log() -> Arc<dyn EventLog> {
    in_memory(LogSettings::default()).await.unwrap()
}

/// Appends events, one to a stream of its own each.
pub(super) async fn append(log: &dyn EventLog, names: impl IntoIterator<Item = u64>) {
    for name in names {
        let runner_id: RunnerId = format!("r{name}").parse().unwrap();
        let removed = RunnerRemoved { runner_id: runner_id.clone(), removed_at: DateTime::UNIX_EPOCH };
        let write = StreamWrite {
            stream: StreamId::runner(&runner_id),
            expected: Version(0),
            events: vec![Event::Runner(RunnerEvent::Removed(removed))],
        };
        let metadata = Metadata::default();
        log.append(Append { writes: vec![write], metadata, recorded_at: DateTime::UNIX_EPOCH })
            .await
            .unwrap();
    }
}

pub(super) async fn positions(follower: &mut Follower, count: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let next = follower.next(Instant::now() + PATIENCE).await.unwrap();
        seen.push(next.expect("there is more").position().0);
    }
    seen
}

#[tokio::test]
async fn a_reader_gets_every_event_once_and_in_order_from_wherever_it_begins() {
    let (log, total) = (log().await, 600);
    append(&*log, 1..=total).await;
    let feed = Feed::new(log);
    for after in [0, 1, 255, 256, 257, 599] {
        let mut follower = feed.follow(Filter::default(), Position(after));
        let expected: Vec<u64> = (after + 1..=total).collect();
        assert_eq!(positions(&mut follower, expected.len()).await, expected);
    }
}

#[tokio::test]
async fn what_is_new_is_read_and_encoded_once_for_all() {
    let log = log().await;
    append(&*log, 1..=3).await;
    let feed = Feed::new(log);
    let mut seen: Vec<Arc<FeedEvent>> = Vec::new();
    for _ in 0..2 {
        let mut follower = feed.follow(Filter::default(), Position(2));
        seen.extend(follower.next(Instant::now() + PATIENCE).await.unwrap());
    }
    assert!(Arc::ptr_eq(&seen[0], &seen[1]));
}

#[tokio::test]
async fn a_waiting_reader_wakes_for_what_comes_and_moves_past_what_it_does_not_want() {
    let log = log().await;
    let wanted = Filter { stream_id: Some("r4".to_owned()), ..Filter::default() };
    let mut follower = Feed::new(log.clone()).follow(wanted, Position(0));
    let (seen, ()) = tokio::join!(positions(&mut follower, 1), append(&*log, 1..=5));
    assert_eq!(seen, [4]);
    let passes_the_last = async {
        while follower.position() != Position(5) {
            let soon = Instant::now() + Duration::from_millis(100);
            assert!(follower.next(soon).await.unwrap().is_none());
        }
    };
    tokio::time::timeout(PATIENCE, passes_the_last).await.expect("it stays behind");
}

#[tokio::test]
async fn a_slow_reader_finds_everything_where_it_left_it() {
    let log = log().await;
    let feed = Feed::new(log.clone());
    let (mut slow, mut fast) =
        (feed.follow(Filter::default(), Position(0)), feed.follow(Filter::default(), Position(0)));
    append(&*log, 1..=10).await;
    assert_eq!(positions(&mut slow, 1).await, [1]);
    append(&*log, 11..=2_000).await;
    assert_eq!(positions(&mut fast, 2_000).await, (1..=2_000).collect::<Vec<_>>());
    // The tail starts over, far ahead of the slow reader.
    let mut latest = Feed::clone(&feed).follow(Filter::default(), Position(1_999));
    assert_eq!(positions(&mut latest, 1).await, [2_000]);
    assert_eq!(positions(&mut slow, 1_999).await, (2..=2_000).collect::<Vec<_>>());
}
