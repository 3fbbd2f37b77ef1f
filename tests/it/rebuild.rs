//! Read models follow the log, on both databases, and equal a rebuild from it (I4, I6, I9).

use std::sync::atomic::{AtomicU64, Ordering};

use rivet_events::database::Database;
use rivet_events::log::LogSettings;
use rivet_projections::ReadModels;
use rivet_projections::rebuild::RebuildError;
use rivet_tests::history::stories;
use rivet_tests::on_both_stores;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use sqlx::Executor as _;

use fixture::LONG;
pub(crate) use fixture::{Process, assert_proven};

mod builds;
mod fixture;
mod large_rows;

async fn live_equals_a_fold_of_the_whole_log(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    process.tell_all(&stories(1, 300), 1).await;
    let head = process.caught_up().await;
    assert!(process.read_models.projector_work().events >= head.0);
    assert_proven(&process).await;
    running.stop().await;
}

async fn a_rebuild_while_writing_equals_the_live_ones(kind: StoreKind) {
    let (_store, process) = Process::of(kind).await;
    let running = process.start();
    process.tell_all(&stories(2, 200), 2).await;
    let names: Vec<&str> = ReadModels::names().collect();
    let more = stories(3, 300);
    let (rebuilt, ()) = tokio::join!(process.read_models.rebuild(&names, |_| {}), process.tell_all(&more, 1));
    rebuilt.unwrap();
    process.caught_up().await;
    assert_proven(&process).await;
    running.stop().await;
}

async fn large_events_are_folded_in_smaller_batches(kind: StoreKind) {
    let store = Store::create(kind).await;
    // Small enough that a batch has only one or two dozen events.
    let process = Process::with(&store, LogSettings { read_bytes: 4_096, ..LogSettings::default() }).await;
    process.tell_all(&stories(24, 100), 3).await;
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
    process.tell_all(&stories(25, 20), 3).await;
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
    process.tell_all(&stories(6, 20), 3).await;
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
    process.tell_all(&stories(12, 20), 3).await;
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
    process.tell_all(&stories(13, 20), 3).await;
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
    // Makes the retired generation old enough to be removed, which must not affect the live ones.
    store.execute("update checkpoints set updated_at = 0 where state = 'retired'").await;
    let running = process.start();
    process.tell_all(&stories(23, 20), 3).await;
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
}

async fn a_rebuild_by_another_process_is_noticed(kind: StoreKind) {
    let (store, server) = Process::of(kind).await;
    let running = server.start();
    server.tell_all(&stories(4, 50), 3).await;
    server.caught_up().await;
    let command = Process::over(&store).await;
    command.read_models.rebuild(&["jobs"], |_| {}).await.unwrap();
    server.tell_all(&stories(5, 50), 3).await;
    server.caught_up().await;
    assert_proven(&server).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_project_follows() {
    let (store, one) = Process::of(StoreKind::Postgres).await;
    let other = Process::over(&store).await;
    let (first, second) = (one.start(), other.start());
    one.tell_all(&stories(6, 50), 1).await;
    other.tell_all(&stories(7, 50), 1).await;
    one.caught_up().await;
    other.caught_up().await;
    first.stop().await;
    second.stop().await;
    assert_proven(&one).await;
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
        let (some, more) = (stories(seeds.next()?, 3), stories(seeds.next()?, 3));
        tokio::join!(one.tell_all(&some, 1), other.tell_all(&more, 1));
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
    one.tell_all(&stories(15, 10), 1).await;
    one.caught_up().await;
    let second = other.start();
    first.kill();
    other.tell_all(&stories(16, 10), 1).await;
    other.caught_up().await;
    second.stop().await;
    assert_proven(&other).await;
}

/// Appends events until every read model is rebuilt by this build.
async fn until_renewed(process: &Process) {
    let mut seeds = 100..;
    eventually("every read model to be rebuilt", async || {
        process.tell_all(&stories(seeds.next()?, 1), 1).await;
        process.caught_up().await;
        process.status().await.iter().all(|s| s.state != "live" || s.version > 0).then_some(())
    })
    .await;
}

async fn a_new_read_model_is_built_while_the_others_serve(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    process.tell_all(&stories(22, 30), 1).await;
    process.caught_up().await;
    running.stop().await;
    store.execute("delete from checkpoints where projection = 'pipeline_activity'").await;
    store.execute("drop table pipeline_activity_g1").await;
    // As a rebuild leaves it that was killed at its beginning.
    store.execute("insert into checkpoints select projection, 2, version, 'rebuilding', 0, updated_at from checkpoints where projection = 'webhooks'")
        .await;

    let process = Process::over(&store).await;
    assert_eq!(process.read_models.position(), process.log.head().await.unwrap());
    let running = process.start();
    until_renewed(&process).await;
    running.stop().await;
    assert_proven(&process).await;
}

async fn a_changed_version_is_rebuilt_at_start(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    process.tell_all(&stories(17, 30), 1).await;
    process.caught_up().await;
    running.stop().await;
    store.execute("update checkpoints set version = 0 where projection = 'jobs'").await;
    store.execute("update jobs_g1 set document = '{}'").await;
    // A read model of another version is outdated, not damaged.
    let report = process.read_models.verify(|_| {}).await.unwrap();
    assert_eq!((report.outdated, report.differences), (vec!["jobs"], vec![]));

    let process = Process::over(&store).await;
    let running = process.start();
    until_renewed(&process).await;
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
}

async fn read_models_ahead_of_a_restored_log_are_rebuilt(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    process.tell_all(&stories(14, 5), 1).await;
    store.execute("update checkpoints set position = 1000000").await;
    let running = process.start();
    eventually("every read model to be live at the end of the log", async || {
        process.status().await.iter().all(|s| s.state == "live" && s.position == s.head).then_some(())
    })
    .await;
    running.stop().await;
    assert_proven(&process).await;
}

on_both_stores! {
    live_equals_a_fold_of_the_whole_log,
    a_rebuild_while_writing_equals_the_live_ones,
    a_rebuild_by_another_process_is_noticed,
    large_events_are_folded_in_smaller_batches,
    a_range_without_events_is_not_stored_by_itself,
    a_rebuild_that_has_begun_is_shown_until_it_is_live,
    a_rebuild_that_a_later_one_overtook_changes_nothing,
    two_projectors_do_no_harm,
    a_process_that_dies_is_succeeded,
    a_changed_version_is_rebuilt_at_start,
    a_new_read_model_is_built_while_the_others_serve,
    read_models_ahead_of_a_restored_log_are_rebuilt,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again() {
    let (store, process) = Process::of(StoreKind::Postgres).await;
    let running = process.start();
    process.tell_all(&stories(20, 10), 1).await;
    process.caught_up().await;
    store
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
    let other = Process::over(&store).await;
    other.tell_all(&stories(21, 10), 1).await;
    let head = other.log.head().await.unwrap();
    assert!(process.read_models.wait_for(head, LONG).await);
    running.stop().await;
    assert_proven(&other).await;
}

/// As `verify` and `rebuild` of a newer build fill read models, perhaps for minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_a_newer_build_fills_takes_nobody_the_lease() {
    let (store, process) = Process::of(StoreKind::Postgres).await;
    let running = process.start();
    process.tell_all(&stories(26, 10), 1).await;
    process.caught_up().await;
    store
        .execute("insert into checkpoints select projection, 2, 99, 'rebuilding', 0, updated_at from checkpoints where projection = 'jobs'")
        .await;
    let Database::Postgres(postgres) = &process.database else { unreachable!() };
    let lease = async || -> (String, i64) {
        sqlx::query_as("select owner, renewed_at from projector_lease")
            .fetch_one(&postgres.pool)
            .await
            .unwrap()
    };
    let (owner, mut renewed_at) = lease().await;
    // The first renewal may have begun before.
    for _ in 0..2 {
        (_, renewed_at) = eventually("the lease to be renewed or released", async || {
            Some(lease().await).filter(|seen| *seen != (owner.clone(), renewed_at))
        })
        .await;
    }
    assert_eq!((lease().await.0, *process.read_models.leading().borrow()), (owner, true));
    running.stop().await;
}

/// A backup holds such locks, perhaps for hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_a_retired_table_is_in_nobodys_way() {
    let (store, process) = Process::of(StoreKind::Postgres).await;
    let running = process.start();
    process.tell_all(&stories(24, 10), 1).await;
    process.caught_up().await;
    let Database::Postgres(postgres) = &process.database else { unreachable!() };
    let mut backup = postgres.pool.begin().await.unwrap();
    backup.execute("lock table jobs_g1 in access share mode").await.unwrap();
    process.read_models.rebuild(&["jobs"], |_| {}).await.unwrap();
    store.execute("update checkpoints set updated_at = 0 where state = 'retired'").await;
    // Retired tables are also removed at a start.
    running.stop().await;
    let running = process.start();
    process.tell_all(&stories(25, 10), 1).await;
    process.caught_up().await;
    backup.rollback().await.unwrap();
    running.stop().await;
    assert_proven(&process).await;
}
