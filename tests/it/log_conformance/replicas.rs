//! What holds when several processes append to one log, at once or one after the other, or change its tables. On
//! SQLite the other process is a command beside the server.

use std::time::Duration;

use futures_util::future::{join_all, join3};
use rivet_events::database::{Database, PostgresDatabase};
use rivet_events::id::JobId;
use rivet_events::log::{self, AppendError, Appended, LogSettings};
use rivet_events::segments::Archive;
use rivet_events::{Position, StreamId, StreamType, Version};
use rivet_tests::on_both_stores;
use rivet_tests::stalling_proxy::StallingProxy;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use sqlx::PgPool;
use tokio::time::timeout;

use super::failover::BREAK_WRITERS;
use super::fixture::{
    append, assert_dense, claim, claimed, launch, launched, open, read_to_end, report_refused, table_only,
    write,
};
use super::order::readers_never_see_a_gap_or_a_late_event;

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_one_order() {
    let store = Store::create(StoreKind::Postgres).await;
    let logs = vec![open(&store, LogSettings::default()).await, open(&store, LogSettings::default()).await];
    readers_never_see_a_gap_or_a_late_event(logs).await;
}

on_both_stores! {
    reopening_keeps_everything,
    a_stream_that_another_process_moved_conflicts_alone,
    a_condition_on_what_another_process_moved_refuses_its_append_alone,
    a_stream_that_was_purged_begins_anew,
    a_version_that_an_ended_job_has_reached_is_not_relied_on,
}

async fn reopening_keeps_everything(kind: StoreKind) {
    let store = Store::create(kind).await;
    let job = JobId::generate();
    let first = open(&store, LogSettings::default()).await;
    let stored = first.append(append(vec![write(job, 0, vec![launched(job), claimed(job)])])).await.unwrap();
    drop(first);
    let second = open(&store, LogSettings::default()).await;
    assert_eq!(*second.watch().borrow(), Position(2));
    assert_eq!(second.read_all(Position(0), 10).await.unwrap(), stored.envelopes);
    assert!(matches!(second.append(launch(job)).await, Err(AppendError::Conflict { .. })));
    let next = second.append(claim(job, 2)).await.unwrap();
    assert_eq!(next.position(), Position(3));
}

async fn a_stream_that_another_process_moved_conflicts_alone(kind: StoreKind) {
    let store = Store::create(kind).await;
    let (one, other) =
        (open(&store, LogSettings::default()).await, open(&store, LogSettings::default()).await);
    let (moved, unseen, kept) = (JobId::generate(), JobId::generate(), JobId::generate());
    // The batch of the first process expects all three at the versions that it last knew.
    for job in [moved, kept] {
        one.append(launch(job)).await.unwrap();
    }
    other.append(claim(moved, 1)).await.unwrap();
    other.append(launch(unseen)).await.unwrap();

    let outcomes = join_all([
        one.append(claim(moved, 1)),
        one.append(claim(kept, 1)),
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
    let store = Store::create(kind).await;
    let (one, other) =
        (open(&store, LogSettings::default()).await, open(&store, LogSettings::default()).await);
    let (moved, still) = (JobId::generate(), JobId::generate());
    for job in [moved, still] {
        one.append(launch(job)).await.unwrap();
    }
    other.append(claim(moved, 1)).await.unwrap();

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

async fn a_stream_that_was_purged_begins_anew(kind: StoreKind) {
    let store = Store::create(kind).await;
    let (one, other) =
        (open(&store, LogSettings::default()).await, open(&store, LogSettings::default()).await);
    let job = JobId::generate();
    one.append(launch(job)).await.unwrap();
    other.append(claim(job, 1)).await.unwrap();
    one.append(launch(JobId::generate())).await.unwrap();
    store.execute(&format!("delete from events where aggregate_id = '{job}'")).await;

    // A process that knows the former stream may get a conflict, but only once.
    for (log, next) in [(&one, launch(job)), (&other, claim(job, 1))] {
        let outcome = match log.append(next.clone()).await {
            Err(AppendError::Conflict { .. }) => log.append(next).await,
            outcome => outcome,
        };
        outcome.unwrap();
    }
    assert!(matches!(one.append(launch(job)).await, Err(AppendError::Conflict { .. })));
    let stream = one.read_stream(&StreamId::job(job), Version::default()).await.unwrap();
    assert_eq!(stream.iter().map(|event| event.sequence.0).collect::<Vec<_>>(), [1, 2]);
}

async fn a_version_that_an_ended_job_has_reached_is_not_relied_on(kind: StoreKind) {
    let store = Store::create(kind).await;
    let log = open(&store, LogSettings::default()).await;
    let job = JobId::generate();
    log.append(launch(job)).await.unwrap();
    // Perhaps days after the end, and shortly before another process purges the job.
    log.append(append(vec![write(job, 1, vec![report_refused(job)])])).await.unwrap();
    log.append(launch(JobId::generate())).await.unwrap();
    store.execute(&format!("delete from events where aggregate_id = '{job}'")).await;
    assert!(matches!(log.append(claim(job, 2)).await, Err(AppendError::Conflict { .. })));
}

fn conflicts(outcomes: &[Result<Appended, AppendError>]) -> Vec<bool> {
    outcomes.iter().map(|outcome| matches!(outcome, Err(AppendError::Conflict { .. }))).collect()
}

#[tokio::test]
async fn a_log_that_was_put_back_goes_on_from_its_end() {
    let store = Store::create(StoreKind::Postgres).await;
    let log = open(&store, LogSettings::default()).await;
    for _ in 0..3 {
        log.append(launch(JobId::generate())).await.unwrap();
    }
    store.execute("delete from events where position > 1").await;
    assert_eq!(log.append(launch(JobId::generate())).await.unwrap().position(), Position(2));
}

/// How many batches wait for the append lock.
async fn waiting_batches(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity
         where datname = current_database() and state = 'active' and query like 'select append_events%'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_append_that_does_not_get_its_turn_is_not_stored_later() {
    let store = Store::create(StoreKind::Postgres).await;
    let log = open(&store, LogSettings::default()).await;
    let Database::Postgres(PostgresDatabase { pool, .. }) = store.open().await else { unreachable!() };
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(7248163301)").execute(&mut *holder).await.unwrap();
    let refused = log.append(launch(JobId::generate())).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    // The answer may come a moment before the server notes that the statement has ended.
    eventually("the batch to give up", async || (waiting_batches(&pool).await == 0).then_some(())).await;
    holder.rollback().await.unwrap();
    assert_eq!(log.append(launch(JobId::generate())).await.unwrap().position(), Position(1));
}

#[tokio::test]
async fn a_replica_learns_of_the_appends_of_another() {
    let store = Store::create(StoreKind::Postgres).await;
    // The poll is far too slow, so it is the notification that brings the news.
    let settings = LogSettings { poll_interval: Duration::from_hours(1), ..LogSettings::default() };
    let (one, other) = (open(&store, settings).await, open(&store, settings).await);
    let mut watch = other.watch();
    let stored = one.append(launch(JobId::generate())).await.unwrap();
    watch.wait_for(|head| *head == stored.position()).await.unwrap();
    assert_eq!(other.read_all(Position(0), 10).await.unwrap(), stored.envelopes);
}

#[tokio::test]
async fn the_writer_survives_the_loss_of_its_connection() {
    let store = Store::create(StoreKind::Postgres).await;
    let log = open(&store, LogSettings::default()).await;
    log.append(launch(JobId::generate())).await.unwrap();
    store.execute(BREAK_WRITERS).await;
    let lost = log.append(launch(JobId::generate())).await;
    assert!(matches!(lost, Err(AppendError::Unavailable(_))), "{lost:?}");
    let job = JobId::generate();
    let next = log.append(launch(job)).await.unwrap();
    assert_eq!(next.position(), Position(2));
    assert_eq!(next.envelopes[0].stream, StreamId::new(StreamType::Job, job));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_connections_fall_silent_goes_on_over_new_ones() {
    let store = Store::create(StoreKind::Postgres).await;
    let other = open(&store, table_only()).await;
    let proxy = StallingProxy::start(store.url());
    let Database::Postgres(database) = Database::connect(proxy.url()).await.unwrap() else { unreachable!() };
    let pool = database.pool.clone();
    let database = Database::Postgres(database);
    let one = log::open(&database, table_only()).await.unwrap();
    one.append(launch(JobId::generate())).await.unwrap();
    let archive = Archive::new(&database, None);
    assert!(!archive.holds(JobId::generate()).await.unwrap());
    eventually("its connection to be back in the pool", async || (pool.num_idle() > 0).then_some(())).await;

    proxy.stall();
    let hear_of_another = async {
        let news = other.append(launch(JobId::generate())).await.unwrap().position();
        one.watch().wait_for(|head| *head >= news).await.map(|head| *head)
    };
    let limit = Duration::from_secs(20);
    let refuse = one.append(launch(JobId::generate()));
    let (refused, heard, held) =
        join3(refuse, timeout(limit, hear_of_another), timeout(limit, archive.holds(JobId::generate())))
            .await;

    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    assert_eq!(heard.expect("it looks at the log over another connection").unwrap(), Position(2));
    assert!(held.expect("it gives up").is_err());
    assert!(!archive.holds(JobId::generate()).await.unwrap());
    assert_eq!(one.append(launch(JobId::generate())).await.unwrap().position(), Position(3));
    let all = read_to_end(&one).await;
    assert_eq!(all.len(), 3);
    assert_dense(&all);
}
