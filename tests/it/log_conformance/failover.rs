//! PostgreSQL loses the last events, as in a failover to a standby that lacked them: a process that has seen them
//! notices, and neither appends nor reads over a new connection.

use std::time::Duration;

use futures_util::future::join;
use rivet_events::database::Database;
use rivet_events::id::JobId;
use rivet_events::log::{self, AppendError, LogSettings};
use rivet_events::{Position, StreamId, Version};
use rivet_tests::store::{Store, StoreKind};

use super::fixture::{append, assert_dense, cancel_requested, claim, launch, open, read_to_end, write};

/// Ends the connections over which events were appended.
pub(super) const BREAK_WRITERS: &str = "
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and query like '%append_events%'";

/// Ends all connections but its own.
const BREAK_ALL: &str = "
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()";

/// For a process that learns nothing between its commands.
fn without_polls() -> LogSettings {
    LogSettings { poll_interval: Duration::from_hours(1), ..LogSettings::default() }
}

#[tokio::test]
async fn nothing_is_appended_by_a_process_that_has_seen_what_was_lost() {
    let store = Store::create(StoreKind::Postgres).await;
    let database = store.open().await;
    let log = log::open(&database, without_polls()).await.unwrap();
    let job = JobId::generate();
    log.append(launch(job)).await.unwrap();
    log.append(claim(job, 1)).await.unwrap();
    store.execute("delete from events where position > 1").await;
    // Another process begins after that, and assigns the position again.
    let other = open(&store, LogSettings::default()).await;
    assert_eq!(other.append(launch(JobId::generate())).await.unwrap().position(), Position(2));
    store.execute(BREAK_WRITERS).await;

    let next = || append(vec![write(job, 2, vec![cancel_requested(job, String::new())])]);
    for _ in 0..2 {
        let refused = log.append(next()).await;
        assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    }
    assert!(database.lost_events().is_cancelled());

    let log = open(&store, LogSettings::default()).await;
    assert!(matches!(log.append(next()).await, Err(AppendError::Conflict { .. })));
    log.append(claim(job, 1)).await.unwrap();
    assert_dense(&read_to_end(&log).await);
}

#[tokio::test]
async fn a_log_that_has_become_shorter_is_noticed_over_an_old_connection_too() {
    let store = Store::create(StoreKind::Postgres).await;
    let database = store.open().await;
    let log = log::open(&database, LogSettings::default()).await.unwrap();
    // Another process, which has only heard of the events.
    let others = store.open().await;
    let other = log::open(&others, LogSettings::default()).await.unwrap();
    for _ in 0..2 {
        log.append(launch(JobId::generate())).await.unwrap();
    }
    other.watch().wait_for(|head| *head == Position(2)).await.unwrap();
    store.execute("delete from events where position > 1").await;
    let (lost, lost_elsewhere) = (database.lost_events(), others.lost_events());
    join(lost.cancelled(), lost_elsewhere.cancelled()).await;
    assert!(log.head().await.is_err() && other.head().await.is_err());
}

#[tokio::test]
async fn no_other_connection_leads_past_a_loss_either() {
    let store = Store::create(StoreKind::Postgres).await;
    let Database::Postgres(database) = store.open().await else { unreachable!() };
    let log = log::open(&Database::Postgres(database.clone()), without_polls()).await.unwrap();
    log.append(launch(JobId::generate())).await.unwrap();
    store.execute("delete from events").await;
    store.execute(BREAK_ALL).await;
    while database.pool.acquire().await.is_ok() {}
    assert!(Database::Postgres(database).lost_events().is_cancelled());
}

#[tokio::test]
async fn a_last_event_that_was_purged_is_no_loss() {
    let store = Store::create(StoreKind::Postgres).await;
    let database = store.open().await;
    let log = log::open(&database, without_polls()).await.unwrap();
    let job = JobId::generate();
    log.append(launch(job)).await.unwrap();
    open(&store, LogSettings::default()).await.append(launch(JobId::generate())).await.unwrap();
    store.execute(&format!("delete from events where aggregate_id = '{job}'")).await;
    store.execute(BREAK_WRITERS).await;
    let broken = log.append(launch(JobId::generate())).await;
    assert!(matches!(broken, Err(AppendError::Unavailable(_))), "{broken:?}");
    let next = log.append(launch(JobId::generate())).await.unwrap();
    assert_eq!((next.position(), database.lost_events().is_cancelled()), (Position(3), false));
    assert_eq!(log.read_stream(&StreamId::job(job), Version::default()).await.unwrap().len(), 0);
}
