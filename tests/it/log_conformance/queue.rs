//! The queue before the writer: it is bounded, and emptied by closing.

use futures_util::future::join_all;
use rivet_events::Position;
use rivet_events::id::JobId;
use rivet_events::log::{AppendError, LogSettings};

use super::fixture::{Place, append, assert_dense, cancel_requested, launch, read_to_end, write};

on_every_log! {
    a_full_queue_refuses_at_once,
    the_bytes_that_wait_are_bounded,
    closing_makes_durable_what_waits,
}

async fn a_full_queue_refuses_at_once(place: Place) {
    let log = place.open(LogSettings { queue_appends: 3, ..LogSettings::default() }).await;
    let jobs: Vec<JobId> = (0..10).map(|_| JobId::generate()).collect();
    // On one thread, the writer cannot run before all of them have been queued.
    let outcomes = join_all(jobs.iter().map(|job| log.append(launch(*job)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert!(outcomes[3..].iter().all(|outcome| matches!(outcome, Err(AppendError::Overloaded))));
    log.append(launch(jobs[9])).await.unwrap();
    assert_eq!(log.head().await.unwrap(), Position(4));
}

async fn the_bytes_that_wait_are_bounded(place: Place) {
    let settings = LogSettings { queue_bytes: 10_000, batch_bytes: 5_000, ..LogSettings::default() };
    let log = place.open(settings).await;
    let job = JobId::generate();
    let big = |bytes| append(vec![write(job, 0, vec![cancel_requested(job, "x".repeat(bytes))])]);
    let small = JobId::generate();
    let outcomes = join_all([log.append(big(20_000)), log.append(launch(small))]).await;
    assert!(outcomes[0].is_ok(), "a single append of any size is taken: {outcomes:?}");
    assert!(matches!(outcomes[1], Err(AppendError::Overloaded)), "{outcomes:?}");
    let jobs: Vec<JobId> = (0..8).map(|_| JobId::generate()).collect();
    for outcome in join_all(jobs.iter().map(|job| log.append(launch(*job)))).await {
        outcome.unwrap();
    }
    assert_dense(&read_to_end(&log).await);
}

async fn closing_makes_durable_what_waits(place: Place) {
    let log = place.open(LogSettings { batch_appends: 4, ..LogSettings::default() }).await;
    let jobs: Vec<JobId> = (0..30).map(|_| JobId::generate()).collect();
    let (outcomes, ()) = tokio::join!(join_all(jobs.iter().map(|job| log.append(launch(*job)))), log.close());
    for outcome in outcomes {
        outcome.unwrap();
    }
    let late = log.append(launch(JobId::generate())).await;
    assert!(matches!(late, Err(AppendError::Unavailable(_))), "{late:?}");
    assert_eq!(log.head().await.unwrap(), Position(30));
    log.close().await;
}
