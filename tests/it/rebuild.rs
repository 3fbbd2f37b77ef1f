//! Read models follow the log, on both databases, and equal a rebuild from it (I4, I6, I9).

mod builds;
mod large_rows;
mod on_postgres;
mod versions;

use std::sync::atomic::{AtomicU64, Ordering};

use rivet_events::log::LogSettings;
use rivet_projections::ReadModels;
use rivet_projections::rebuild::RebuildError;
use rivet_tests::history::streams;
use rivet_tests::on_both_stores;
use rivet_tests::process::{Process, assert_proven};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;

on_both_stores! {
    live_equals_a_fold_of_the_whole_log,
    a_rebuild_while_writing_equals_the_live_ones,
    a_rebuild_by_another_process_is_noticed,
    large_events_are_folded_in_smaller_batches,
    a_range_without_events_is_not_stored_by_itself,
    a_rebuild_that_has_begun_is_shown_until_it_is_live,
    a_rebuild_that_a_later_one_overtook_changes_nothing,
    a_rebuild_that_was_taken_for_dead_harms_no_later_one,
    what_somebody_rebuilds_is_not_rebuilt_twice,
    a_process_that_stops_leaves_no_unfinished_rebuild,
    two_projectors_do_no_harm,
    a_process_that_dies_is_succeeded,
}

async fn live_equals_a_fold_of_the_whole_log(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(1, 300), 1).await;
    let head = process.caught_up().await;
    assert!(process.read_models.projector_work().events >= head.0);
    assert_proven(&process).await;
    running.stop().await;
}

async fn a_rebuild_while_writing_equals_the_live_ones(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(2, 200), 2).await;
    let names: Vec<&str> = ReadModels::names().collect();
    let more = streams(3, 300);
    let (rebuilt, ()) =
        tokio::join!(process.read_models.rebuild(&names, |_| {}), process.append_all(&more, 1));
    rebuilt.unwrap();
    process.caught_up().await;
    assert_proven(&process).await;
    running.stop().await;
}

async fn large_events_are_folded_in_smaller_batches(kind: StoreKind) {
    let store = Store::create(kind).await;
    // Small enough that a batch has only one or two dozen events.
    let process = Process::with(&store, LogSettings { read_bytes: 4_096, ..LogSettings::default() }).await;
    process.append_all(&streams(24, 100), 3).await;
    let batches = AtomicU64::new(0);
    let count = |_| _ = batches.fetch_add(1, Ordering::Relaxed);
    process.read_models.rebuild(&["jobs"], count).await.unwrap();
    let events = process.log.head().await.unwrap().0;
    let batches = batches.into_inner();
    assert!((events / 50..events).contains(&batches), "{batches} batches of {events} events");
    let running = process.start();
    process.caught_up().await;
    assert_proven(&process).await;
    running.stop().await;
}

async fn a_range_without_events_is_not_stored_by_itself(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    process.append_all(&streams(25, 20), 3).await;
    // As after archiving and purging.
    store.execute("update events set position = position + 40000 where position > 30").await;
    let batches = AtomicU64::new(0);
    let count = |_| _ = batches.fetch_add(1, Ordering::Relaxed);
    process.read_models.rebuild(&["jobs"], count).await.unwrap();
    assert_eq!(batches.into_inner(), 2);
}

async fn a_rebuild_that_has_begun_is_shown_until_it_is_live(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(6, 20), 3).await;
    process.caught_up().await;
    let states = async || -> Vec<&str> {
        let statuses = process.status().await;
        statuses.iter().filter(|status| status.name == "jobs").map(|status| status.state).collect()
    };
    let mut rebuild = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    assert_eq!(states().await, ["live", "rebuilding"]);
    rebuild.finish(|_| {}).await.unwrap();
    assert_eq!(states().await, ["live"]);
    running.stop().await;
}

async fn a_rebuild_that_a_later_one_overtook_changes_nothing(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(12, 20), 3).await;
    process.caught_up().await;
    let mut earlier = process.read_models.begin_rebuild(&["jobs", "pipelines"]).await.unwrap();
    let mut later = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    later.finish(|_| {}).await.unwrap();
    // The later rebuild is unharmed.
    let overtaken = earlier.finish(|_| {}).await;
    assert!(matches!(overtaken, Err(RebuildError::Superseded)), "{overtaken:?}");
    let statuses = process.status().await;
    let mut live: Vec<(&str, &str)> = statuses.iter().map(|status| (status.name, status.state)).collect();
    let mut all: Vec<(&str, &str)> = ReadModels::names().map(|name| (name, "live")).collect();
    live.sort_unstable();
    all.sort_unstable();
    assert_eq!(live, all);
    process.append_all(&streams(13, 20), 3).await;
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
    // Makes the retired generation old enough to be removed, which must not affect the live ones.
    store.execute("update checkpoints set updated_at = 0 where state = 'retired'").await;
    let running = process.start();
    process.append_all(&streams(23, 20), 3).await;
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
}

async fn a_rebuild_that_was_taken_for_dead_harms_no_later_one(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    process.append_all(&streams(26, 20), 3).await;
    let stopped = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    store.execute("update checkpoints set updated_at = 0 where state = 'rebuilding'").await;
    let running = process.start();
    eventually("it to be removed", async || {
        process.status().await.iter().all(|status| status.state == "live").then_some(())
    })
    .await;
    let mut later = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    stopped.give_up().await;
    later.finish(|_| {}).await.unwrap();
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
}

/// As after a purge or a skip.
async fn what_somebody_rebuilds_is_not_rebuilt_twice(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    process.append_all(&streams(27, 20), 3).await;
    store.execute("update checkpoints set version = 0 where projection in ('jobs', 'pipelines')").await;
    let mut begun = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    let running = process.start();
    let versions = async |name: &str| -> Vec<u32> {
        process.status().await.iter().filter(|status| status.name == name).map(|s| s.version).collect()
    };
    eventually("the other one to be rebuilt", async || (versions("pipelines").await != [0]).then_some(()))
        .await;
    assert_eq!(versions("jobs").await.len(), 2);
    begun.finish(|_| {}).await.unwrap();

    running.stop().await;
    store.execute("update checkpoints set version = 0 where projection = 'jobs' and state = 'live'").await;
    let abandoned = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    let running = process.start();
    // Nothing has been heard of it for long enough.
    store.execute("update checkpoints set updated_at = 0 where state = 'rebuilding'").await;
    eventually("it to be rebuilt by somebody else", async || {
        (!versions("jobs").await.contains(&0)).then_some(())
    })
    .await;
    running.stop().await;
    abandoned.give_up().await;
    assert_proven(&process).await;
}

async fn a_process_that_stops_leaves_no_unfinished_rebuild(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    process.append_all(&streams(28, 400), 3).await;
    store.execute("update checkpoints set version = 0 where projection = 'jobs'").await;
    let running = process.start();
    eventually("the rebuild to begin", async || {
        process.status().await.iter().any(|s| s.name == "jobs" && s.version > 0).then_some(())
    })
    .await;
    running.stop().await;
    assert!(process.status().await.iter().all(|status| status.state == "live"));
}

async fn a_rebuild_by_another_process_is_noticed(kind: StoreKind) {
    let (store, server) = Process::of(kind).await;
    let running = server.start();
    server.append_all(&streams(4, 50), 3).await;
    server.caught_up().await;
    let command = Process::over(&store).await;
    command.read_models.rebuild(&["jobs"], |_| {}).await.unwrap();
    server.append_all(&streams(5, 50), 3).await;
    server.caught_up().await;
    assert_proven(&server).await;
    running.stop().await;
}

/// On PostgreSQL, each process leads for up to a second after the lease was taken from it.
async fn two_projectors_do_no_harm(kind: StoreKind) {
    let (store, one) = Process::of(kind).await;
    let other = Process::over(&store).await;
    let (first, second) = (one.start(), other.start());
    let lead = |process: &Process| *process.read_models.leading().borrow();
    let (mut seeds, mut contests) = (100.., 0);
    eventually("both to lead at the same time for long enough", async || {
        store.execute("delete from projector_lease").await;
        let (some, more) = (streams(seeds.next()?, 3), streams(seeds.next()?, 3));
        tokio::join!(one.append_all(&some, 1), other.append_all(&more, 1));
        contests += u32::from(lead(&one) && lead(&other));
        (contests == 30).then_some(())
    })
    .await;
    one.caught_up().await;
    other.caught_up().await;
    for process in [&one, &other] {
        assert!(process.read_models.projector_work().batches > 0);
    }
    first.stop().await;
    second.stop().await;
    assert_proven(&other).await;
}

async fn a_process_that_dies_is_succeeded(kind: StoreKind) {
    let (store, one) = Process::of(kind).await;
    let other = Process::over(&store).await;
    let first = one.start();
    one.append_all(&streams(15, 10), 1).await;
    one.caught_up().await;
    let second = other.start();
    first.kill();
    other.append_all(&streams(16, 10), 1).await;
    other.caught_up().await;
    second.stop().await;
    assert_proven(&other).await;
}
