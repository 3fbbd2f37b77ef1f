//! Read models that another build has made, or that only another build knows.

use rivet_events::database::Database;
use rivet_projections::rebuild::RebuildError;
use rivet_projections::{Released, Wait};
use rivet_tests::history::streams;
use rivet_tests::on_both_stores;
use rivet_tests::process::{Process, assert_proven};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;

use super::versions::until_renewed;

on_both_stores! {
    what_an_older_build_has_made_is_outdated_as_soon_as_this_one_folds_into_it,
    a_rebuild_by_an_older_build_replaces_nothing_of_a_newer_one,
    what_an_older_build_rebuilds_beside_this_one_is_adopted,
    an_unfinished_read_model_that_no_build_maintains_holds_nobody_back,
    a_read_model_that_this_build_does_not_know_counts_as_unmaintained_once_it_leads,
    nothing_is_deleted_while_another_build_fills_a_read_model,
}

/// A store with some history in it, and no process over it.
async fn with_history(kind: StoreKind, seed: u64) -> Store {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(seed, 20), 1).await;
    process.caught_up().await;
    running.stop().await;
    process.close().await;
    store
}

/// The version of a live read model.
async fn version(process: &Process, name: &str) -> u32 {
    let statuses = process.status().await;
    statuses.iter().find(|s| s.name == name && s.state == "live").unwrap().version
}

async fn what_an_older_build_has_made_is_outdated_as_soon_as_this_one_folds_into_it(kind: StoreKind) {
    let store = with_history(kind, 41).await;
    store.execute("update checkpoints set version = 1 where projection = 'job_queue'").await;
    store.execute("alter table job_queue_g1 drop column needs_fencing").await;
    // Makes the rebuild fail for now, as where an upgrade is broken off before the end of it.
    store.execute("create view job_queue_g2 as select 1 as one").await;

    let process = Process::over(&store).await;
    let running = process.start();
    process.append_all(&streams(42, 20), 1).await;
    process.caught_up().await;
    let live = process.status().await.into_iter().find(|s| s.name == "job_queue").unwrap();
    assert_eq!((live.version, live.position), (0, live.head), "{live:?}");

    store.execute("drop view job_queue_g2").await;
    until_renewed(&process).await;
    running.stop().await;
    assert_proven(&process).await;
}

async fn a_rebuild_by_an_older_build_replaces_nothing_of_a_newer_one(kind: StoreKind) {
    let store = with_history(kind, 46).await;
    let older = Process::over(&store).await;
    let mut begun = older.read_models.begin_rebuild(&["jobs"]).await.unwrap();
    store.execute("update checkpoints set version = 99 where projection = 'jobs' and state = 'live'").await;
    let refused = older.read_models.rebuild(&["pipelines", "jobs"], |_| {}).await;
    assert!(matches!(refused, Err(RebuildError::Newer("jobs"))), "{refused:?}");
    let rebuilt = begun.finish(|_| {}).await;
    assert!(matches!(rebuilt, Err(RebuildError::Superseded)), "{rebuilt:?}");
    assert_eq!(version(&older, "jobs").await, 99);

    // Once no newer process is left, it takes the read model back.
    store.execute("update projector_lease set renewed_at = 0").await;
    let running = older.start();
    eventually("it to be taken back", async || {
        (1..99).contains(&version(&older, "jobs").await).then_some(())
    })
    .await;
    running.stop().await;
    assert_proven(&older).await;
}

/// Over PostgreSQL, an older build may finish a rebuild that it began while it led.
async fn what_an_older_build_rebuilds_beside_this_one_is_adopted(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(47, 20), 1).await;
    process.caught_up().await;
    process.read_models.rebuild(&["job_queue"], |_| {}).await.unwrap();
    store
        .execute(
            "update checkpoints set version = 1 where projection = 'job_queue';
             alter table job_queue_g2 drop column needs_fencing",
        )
        .await;
    let mut seeds = 200..;
    let adopted = eventually("it to be adopted", async || {
        process.append_all(&streams(seeds.next()?, 1), 1).await;
        Some(version(&process, "job_queue").await).filter(|version| *version != 1)
    })
    .await;
    // Long before the next look for outdated read models, which would rebuild it.
    assert_eq!(adopted, 0);
    process.caught_up().await;
    running.stop().await;

    let process = Process::over(&store).await;
    let running = process.start();
    until_renewed(&process).await;
    running.stop().await;
    assert_proven(&process).await;
}

async fn an_unfinished_read_model_that_no_build_maintains_holds_nobody_back(kind: StoreKind) {
    let store = with_history(kind, 43).await;
    // As a process that does not lead finds what another one of its build has created.
    store
        .execute("update checkpoints set version = 0, position = 3 where projection = 'pipeline_activity'")
        .await;
    let process = Process::over(&store).await;
    assert_eq!(process.read_models.position(), process.log.head().await.unwrap());
}

async fn a_read_model_that_this_build_does_not_know_counts_as_unmaintained_once_it_leads(kind: StoreKind) {
    let store = with_history(kind, 44).await;
    store.execute("insert into checkpoints values ('tomorrow', 1, 7, 'live', 3, 0)").await;
    let process = Process::over(&store).await;
    let version = async || -> i64 {
        let text = "select version from checkpoints where projection = 'tomorrow'";
        match &process.database {
            Database::Postgres(postgres) => sqlx::query_scalar(text).fetch_one(&postgres.pool).await.unwrap(),
            Database::Sqlite(sqlite) => sqlx::query_scalar(text).fetch_one(&sqlite.readers).await.unwrap(),
        }
    };
    assert_eq!(version().await, 7);
    let running = process.start();
    eventually("it to be marked", async || (version().await == 0).then_some(())).await;
    running.stop().await;
}

async fn nothing_is_deleted_while_another_build_fills_a_read_model(kind: StoreKind) {
    let store = with_history(kind, 45).await;
    let process = Process::over(&store).await;
    let purged = async || process.read_models.purge(&[]).await.unwrap();
    assert_eq!(purged().await, Released::Done);
    store.execute("insert into checkpoints values ('tomorrow', 1, 7, 'rebuilding', 0, 0)").await;
    assert_eq!(purged().await, Released::Waiting(Wait::Rebuilding));
}
