//! What a start rebuilds: read models that are new, of another version, or ahead of the log.

use rivet_tests::history::streams;
use rivet_tests::on_both_stores;
use rivet_tests::process::{Process, assert_proven};
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;

on_both_stores! {
    a_new_read_model_is_built_while_the_others_serve,
    a_changed_version_is_rebuilt_at_start,
    read_models_ahead_of_a_restored_log_are_rebuilt,
}

async fn a_new_read_model_is_built_while_the_others_serve(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    let running = process.start();
    process.append_all(&streams(22, 30), 1).await;
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
    process.append_all(&streams(17, 30), 1).await;
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
    process.append_all(&streams(14, 5), 1).await;
    store.execute("update checkpoints set position = 1000000").await;
    let running = process.start();
    eventually("every read model to be live at the end of the log", async || {
        process.status().await.iter().all(|s| s.state == "live" && s.position == s.head).then_some(())
    })
    .await;
    running.stop().await;
    assert_proven(&process).await;
}

/// Appends events until every read model is rebuilt by this build.
pub(super) async fn until_renewed(process: &Process) {
    let mut seeds = 100..;
    eventually("every read model to be rebuilt", async || {
        process.append_all(&streams(seeds.next()?, 1), 1).await;
        process.caught_up().await;
        process.status().await.iter().all(|s| s.state != "live" || s.version > 0).then_some(())
    })
    .await;
}
