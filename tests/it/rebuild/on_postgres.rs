//! What only PostgreSQL has: other processes, connections that are lost, and locks.

use chrono::DateTime;
use rivet_events::database::Database;
use rivet_events::runner::Capabilities;
use rivet_projections::job_queue;
use rivet_tests::history::streams;
use rivet_tests::process::{LONG, Process, assert_proven};
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;
use sqlx::Executor as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_project_follows() {
    let (store, one) = Process::of(StoreKind::Postgres).await;
    let other = Process::over(&store).await;
    let (first, second) = (one.start(), other.start());
    one.append_all(&streams(6, 50), 1).await;
    other.append_all(&streams(7, 50), 1).await;
    one.caught_up().await;
    other.caught_up().await;
    first.stop().await;
    second.stop().await;
    assert_proven(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again() {
    let (store, process) = Process::of(StoreKind::Postgres).await;
    let running = process.start();
    process.append_all(&streams(20, 10), 1).await;
    process.caught_up().await;
    store
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
    let other = Process::over(&store).await;
    other.append_all(&streams(21, 10), 1).await;
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
    process.append_all(&streams(26, 10), 1).await;
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

/// Its queries name them, and the leader, of another build, adds none.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_follows_another_build_adds_missing_columns_as_soon_as_it_can() {
    let (store, process) = Process::of(StoreKind::Postgres).await;
    store
        .execute(
            "update checkpoints set version = 99 where projection = 'job_queue';
             insert into projector_lease values ('projector', 'another build', 1, 4000000000000000);
             alter table job_queue_g1 drop column needs_fencing",
        )
        .await;
    let Database::Postgres(postgres) = &process.database else { unreachable!() };
    let mut backup = postgres.pool.begin().await.unwrap();
    backup.execute("lock table job_queue_g1 in access share mode").await.unwrap();
    let running = process.start();
    let waits = async || -> bool {
        let waits =
            "select exists (select from pg_locks where relation = 'job_queue_g1'::regclass and not granted)";
        sqlx::query_scalar(waits).fetch_one(&postgres.pool).await.unwrap()
    };
    eventually("it to wait for the lock", async || waits().await.then_some(())).await;
    eventually("it to give up for now", async || (!waits().await).then_some(())).await;
    backup.rollback().await.unwrap();
    let serves = async || {
        let candidates =
            job_queue::candidates(&process.read_models, &Capabilities(None), false, DateTime::UNIX_EPOCH, 1)
                .await;
        candidates.ok()
    };
    eventually("its queries to be answered", serves).await;

    // What the other build rebuilds lacks the column again.
    store
        .execute(
            "alter table job_queue_g1 rename to job_queue_g2;
             alter table job_queue_g2 drop column needs_fencing;
             update checkpoints set generation = 2 where projection = 'job_queue'",
        )
        .await;
    eventually("its queries to be answered again", serves).await;
    running.stop().await;
}

/// A backup holds such locks, perhaps for hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_a_retired_table_is_in_nobodys_way() {
    let (store, process) = Process::of(StoreKind::Postgres).await;
    let running = process.start();
    process.append_all(&streams(24, 10), 1).await;
    process.caught_up().await;
    let Database::Postgres(postgres) = &process.database else { unreachable!() };
    let mut backup = postgres.pool.begin().await.unwrap();
    backup.execute("lock table jobs_g1 in access share mode").await.unwrap();
    process.read_models.rebuild(&["jobs"], |_| {}).await.unwrap();
    store.execute("update checkpoints set updated_at = 0 where state = 'retired'").await;
    // Retired tables are also removed at a start.
    running.stop().await;
    let running = process.start();
    process.append_all(&streams(25, 10), 1).await;
    process.caught_up().await;
    backup.rollback().await.unwrap();
    running.stop().await;
    assert_proven(&process).await;
}

/// Otherwise the leading process would remove what it fills.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_waits_for_the_log_is_not_abandoned() {
    let (store, process) = Process::with_jobs(StoreKind::Postgres).await;
    let mut rebuild = process.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    let Database::Postgres(postgres) = &process.database else { unreachable!() };
    let mut slow = postgres.pool.begin().await.unwrap();
    slow.execute("lock table events in access exclusive mode").await.unwrap();
    store.execute("update checkpoints set updated_at = 0 where state = 'rebuilding'").await;
    let look = async {
        let shown = "select updated_at > 0 from checkpoints where state = 'rebuilding' and generation = 2";
        eventually("it to be shown that it is needed", async || {
            let shown = sqlx::query_scalar(shown).fetch_optional(&postgres.pool).await.unwrap();
            shown.filter(|shown: &bool| *shown)
        })
        .await;
        slow.rollback().await.unwrap();
    };
    let (finished, ()) = tokio::join!(rebuild.finish(|_| {}), look);
    finished.unwrap();
    assert_proven(&process).await;
}
