//! What one read returns is bounded in bytes.

use std::time::Duration;

use rivet_events::Position;
use rivet_events::id::JobId;
use rivet_events::log::LogSettings;

use rivet_tests::on_both_stores;
use rivet_tests::store::{Store, StoreKind};

use super::fixture::{Place, append, assert_dense, cancel_requested, open, read_to_end, table_only, write};

on_every_log! { a_read_is_bounded_in_bytes }

mod of_tables {
    use super::*;

    on_both_stores! {
        a_read_beyond_what_is_heard_of_is_bounded_in_bytes,
        a_range_of_large_events_goes_on_past_those_that_were_taken_out,
    }
}

async fn a_read_is_bounded_in_bytes(place: Place) {
    let log = place.open(LogSettings { read_bytes: 4_096, ..table_only() }).await;
    for bytes in [10, 1_500, 1_500, 1_500, 9_000, 10, 10, 3_000].repeat(5) {
        let job = JobId::generate();
        log.append(append(vec![write(job, 0, vec![cancel_requested(job, "x".repeat(bytes))])]))
            .await
            .unwrap();
    }
    let all = read_to_end(&log).await;
    assert_dense(&all);
    assert_eq!(all.len(), 40);
    for after in 0..40 {
        let events = log.read_all(Position(after as u64), 100).await.unwrap();
        assert_eq!(events, all[after..after + events.len()]);
        let (range, reached) = log.read_range(Position(after as u64), Position(40)).await.unwrap();
        assert_eq!(range, all[after..usize::try_from(reached.0).unwrap()]);
        for read in [events, range] {
            let bytes: usize = read.iter().map(|e| serde_json::to_string(&e.event).unwrap().len()).sum();
            assert!(bytes <= 4_096 || read.len() == 1, "{bytes} bytes of {} events", read.len());
            assert!(!read.is_empty());
        }
    }
}

/// A process may not have heard yet of what another one has appended.
async fn a_read_beyond_what_is_heard_of_is_bounded_in_bytes(kind: StoreKind) {
    let store = Store::create(kind).await;
    let settings = LogSettings { read_bytes: 4_096, poll_interval: Duration::from_hours(1), ..table_only() };
    let (one, other) = (open(&store, settings).await, open(&store, settings).await);
    for _ in 0..40 {
        let job = JobId::generate();
        let event = cancel_requested(job, "x".repeat(1_000));
        other.append(append(vec![write(job, 0, vec![event])])).await.unwrap();
    }
    let events = one.read_all(Position(0), 100).await.unwrap();
    let (range, reached) = one.read_range(Position(0), Position(40)).await.unwrap();
    assert!((1..=4).contains(&events.len()), "{} events", events.len());
    assert!(
        (1..=4).contains(&range.len()) && reached.0 == range.len() as u64,
        "{} to {reached}",
        range.len()
    );
    assert_dense(&read_to_end(&one).await);
}

async fn a_range_of_large_events_goes_on_past_those_that_were_taken_out(kind: StoreKind) {
    let store = Store::create(kind).await;
    let log = open(&store, LogSettings { read_bytes: 4_096, ..table_only() }).await;
    for _ in 0..100 {
        let job = JobId::generate();
        let event = cancel_requested(job, "x".repeat(1_000));
        log.append(append(vec![write(job, 0, vec![event])])).await.unwrap();
    }
    store.execute("delete from events where position between 5 and 80").await;
    let (mut reached, mut positions) = (Position(0), Vec::new());
    for reads in 1.. {
        let (events, to) = log.read_range(reached, Position(90)).await.unwrap();
        assert!(to > reached && reads < 10, "from {reached} to {to}");
        positions.extend(events.iter().map(|event| event.position.0));
        reached = to;
        if reached == Position(90) {
            break;
        }
    }
    assert_eq!(positions, [1..=4, 81..=90].into_iter().flatten().collect::<Vec<u64>>());
    let all: Vec<u64> = read_to_end(&log).await.iter().map(|event| event.position.0).collect();
    assert_eq!(all, [1..=4, 81..=100].into_iter().flatten().collect::<Vec<u64>>());
}
