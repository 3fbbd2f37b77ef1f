//! Small events that change large rows: the rows of one batch are bounded, and so are the pages and the report of a
//! verification.

use std::sync::Mutex;

use chrono::DateTime;
use rivet_events::job::{JobCancelled, JobEvent};
use rivet_events::log::{Append, StreamWrite};
use rivet_events::{Event, Metadata, Position, Version};
use rivet_tests::history::streams;
use rivet_tests::on_both_stores;
use rivet_tests::process::{Process, assert_proven};
use rivet_tests::store::StoreKind;

/// Launches jobs with parameters of that length. Returns what cancels them all at once.
async fn launch_large(process: &Process, jobs: usize, bytes: usize) -> Append {
    let mut streams = streams(32, jobs);
    let mut cancelled = Vec::new();
    for (stream, events) in &mut streams {
        let Some(Event::Job(JobEvent::Launched(launched))) = events.first_mut() else { continue };
        launched.parameters.insert("large".to_owned(), "x".repeat(bytes).into());
        let end = JobCancelled {
            job_id: launched.job_id,
            pipeline_id: launched.pipeline_id,
            runner_id: None,
            attempt: 0,
            result: None,
            reason: None,
            cancelled_at: launched.requested_at,
        };
        let end = vec![Event::Job(JobEvent::Cancelled(end))];
        cancelled.push(StreamWrite { stream: stream.clone(), expected: Version(1), events: end });
        events.truncate(1);
    }
    process.append_all(&streams, 1).await;
    Append { writes: cancelled, metadata: Metadata::default(), recorded_at: DateTime::UNIX_EPOCH }
}

async fn large_rows_are_folded_in_smaller_batches(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    // Four rows have nearly 16 MiB.
    let cancel_all = launch_large(&process, 5, 4_000_000).await;
    let launched = process.caught_up().await;
    running.stop().await;
    process.log.append(cancel_all).await.unwrap();
    let running = process.start();
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
    let batches = Mutex::new(vec![]);
    let see = |to: Position| batches.lock().unwrap().push(to.0);
    process.read_models.rebuild(&["jobs"], |batch| see(batch.position)).await.unwrap();
    let batches = batches.into_inner().unwrap();
    let are_small = batches.windows(2).all(|ends| ends[0] < launched.0 || ends[1] - ends[0] <= 4);
    assert!(are_small, "{batches:?}, where jobs end from {launched} on");
    assert_proven(&process).await;
}

async fn large_rows_are_verified_in_smaller_pages(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    launch_large(&process, 12, 1_000_000).await;
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
    store.execute("update jobs_g1 set document = document || ' '").await;
    let report = process.read_models.verify(|_| {}).await.unwrap();
    assert_eq!(report.differences.len(), 4, "with documents of 2 MB each, in 8 MiB");
}

on_both_stores! {
    large_rows_are_folded_in_smaller_batches,
    large_rows_are_verified_in_smaller_pages,
}
