//! What holds where several processes append to one log, or others change its tables. On SQLite the other process is a
//! command beside the server.

use std::time::Duration;

use futures_util::future::join_all;
use rivet_events::database::Database;
use rivet_events::id::JobId;
use rivet_events::log::{AppendError, Appended, LogSettings};
use rivet_events::{Position, StreamId, StreamType};
use rivet_tests::on_both_stores;
use rivet_tests::store::StoreKind;

use super::fixture::{Store, append, assert_dense, claimed, launch, launched, read_to_end, write};
use super::order::readers_never_see_a_gap_or_a_late_event;

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_one_order() {
    let store = Store::postgres().await;
    let logs = vec![store.open(LogSettings::default()).await, store.open(LogSettings::default()).await];
    readers_never_see_a_gap_or_a_late_event(logs).await;
}

on_both_stores! {
    a_stream_that_another_process_moved_conflicts_alone,
    a_condition_on_what_another_process_moved_refuses_its_append_alone,
}

async fn a_stream_that_another_process_moved_conflicts_alone(kind: StoreKind) {
    let store = Store::of(kind).await;
    let (one, other) = (store.open(LogSettings::default()).await, store.open(LogSettings::default()).await);
    let (moved, unseen, kept) = (JobId::generate(), JobId::generate(), JobId::generate());
    // All three are as the first process last knew them, when its batch comes.
    for job in [moved, kept] {
        one.append(launch(job)).await.unwrap();
    }
    other.append(append(vec![write(moved, 1, vec![claimed(moved, 1)])])).await.unwrap();
    other.append(launch(unseen)).await.unwrap();

    let outcomes = join_all([
        one.append(append(vec![write(moved, 1, vec![claimed(moved, 1)])])),
        one.append(append(vec![write(kept, 1, vec![claimed(kept, 1)])])),
        one.append(launch(unseen)),
        one.append(launch(JobId::generate())),
    ])
    .await;

    assert_eq!(conflicts(&outcomes), [true, false, true, false], "{outcomes:?}");
    let all = read_to_end(&one).await;
    assert_eq!(all.len(), 4 + 2);
    assert_dense(&all);
}

async fn a_condition_on_what_another_process_moved_refuses_its_append_alone(kind: StoreKind) {
    let store = Store::of(kind).await;
    let (one, other) = (store.open(LogSettings::default()).await, store.open(LogSettings::default()).await);
    let (moved, still) = (JobId::generate(), JobId::generate());
    for job in [moved, still] {
        one.append(launch(job)).await.unwrap();
    }
    other.append(append(vec![write(moved, 1, vec![claimed(moved, 1)])])).await.unwrap();

    let launch_if = |condition: JobId| {
        let job = JobId::generate();
        append(vec![write(condition, 1, vec![]), write(job, 0, vec![launched(job)])])
    };
    let outcomes = join_all([
        one.append(launch_if(still)),
        one.append(launch_if(moved)),
        one.append(launch_if(still)),
        one.append(launch_if(moved)),
    ])
    .await;

    assert_eq!(conflicts(&outcomes), [false, true, false, true], "{outcomes:?}");
    let all = read_to_end(&one).await;
    assert_eq!(all.len(), 3 + 2);
    assert_dense(&all);
}

fn conflicts(outcomes: &[Result<Appended, AppendError>]) -> Vec<bool> {
    outcomes.iter().map(|outcome| matches!(outcome, Err(AppendError::Conflict { .. }))).collect()
}

#[tokio::test]
async fn a_log_that_was_put_back_goes_on_from_its_end() {
    let store = Store::postgres().await;
    let log = store.open(LogSettings::default()).await;
    for _ in 0..3 {
        log.append(launch(JobId::generate())).await.unwrap();
    }
    let Store::Postgres(Database::Postgres(pool)) = &store else { unreachable!() };
    sqlx::query("delete from events where position > 1").execute(pool).await.unwrap();
    assert_eq!(log.append(launch(JobId::generate())).await.unwrap().position(), Position(2));
}

#[tokio::test]
async fn a_replica_learns_of_the_appends_of_another() {
    let store = Store::postgres().await;
    // Far apart polls: it is the hint that brings the news.
    let settings = LogSettings { poll_interval: Duration::from_hours(1), ..LogSettings::default() };
    let (one, other) = (store.open(settings).await, store.open(settings).await);
    let mut watch = other.watch();
    let stored = one.append(launch(JobId::generate())).await.unwrap();
    watch.wait_for(|head| *head == stored.position()).await.unwrap();
    assert_eq!(other.read_all(Position(0), 10).await.unwrap(), stored.envelopes);
}

#[tokio::test]
async fn the_writer_survives_the_loss_of_its_connection() {
    let store = Store::postgres().await;
    let log = store.open(LogSettings::default()).await;
    log.append(launch(JobId::generate())).await.unwrap();
    let Store::Postgres(Database::Postgres(pool)) = &store else { unreachable!() };
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and query like '%append_events%'",
    )
    .execute(pool)
    .await
    .unwrap();
    let lost = log.append(launch(JobId::generate())).await;
    assert!(matches!(lost, Err(AppendError::Unavailable(_))), "{lost:?}");
    let job = JobId::generate();
    let next = log.append(launch(job)).await.unwrap();
    assert_eq!(next.position(), Position(2));
    assert_eq!(next.envelopes[0].stream, StreamId::new(StreamType::Job, job));
}
