//! What a verification finds: each kind of damage to the log and to the read models, and nothing else.

use chrono::DateTime;
use rivet_events::claim::{ClaimAnswered, ClaimEvent};
use rivet_events::database::Database;
use rivet_events::id::{JobId, LeaseId};
use rivet_events::{Event, Position, StreamId, StreamType};
use rivet_projections::status::Status;
use rivet_projections::verify::Report;
use rivet_tests::history::{append, streams};
use rivet_tests::on_both_stores;
use rivet_tests::process::{Process, assert_proven};
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;
use sqlx::Executor as _;

async fn verified(process: &Process) -> Report {
    process.read_models.verify(|_| {}).await.unwrap()
}

async fn a_verification_finds_damage_and_a_rebuild_repairs_it(kind: StoreKind) {
    let (store, process) = Process::with_jobs(kind).await;
    for damage in [
        "delete from jobs_g1 where key = (select min(key) from jobs_g1)",
        "update runners_g1 set document = '{}' where key = (select max(key) from runners_g1)",
        "insert into job_logs_g1 (key, document) values ('nobody', '{}')",
    ] {
        store.execute(damage).await;
    }
    let report = verified(&process).await;
    assert!(!report.is_clean());
    let found: Vec<_> =
        report.differences.iter().map(|d| (d.projection, d.live.is_some(), d.expected.is_some())).collect();
    assert_eq!(found, [("job_logs", true, false), ("jobs", false, true), ("runners", true, true)]);
    process.read_models.rebuild(&["jobs", "runners", "job_logs"], |_| {}).await.unwrap();
    assert_proven(&process).await;
    assert!(process.read_models.rebuild(&["jbos"], |_| {}).await.is_err());
}

async fn a_verification_compares_every_column(kind: StoreKind) {
    let (store, process) = Process::with_jobs(kind).await;
    store.execute("update jobs_g1 set status = null where key = (select min(key) from jobs_g1)").await;
    store.execute("update pipeline_activity_g1 set queued = -1, deleted = null").await;
    let report = verified(&process).await;
    let (jobs, rest): (Vec<_>, Vec<_>) = report.differences.iter().partition(|d| d.projection == "jobs");
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    let [status] = &job.columns[..] else { panic!("{job:?}") };
    assert!(status.starts_with("status is null instead of \""), "{status}");
    assert_eq!(job.live, job.expected);
    for activity in &rest {
        let [queued, deleted] = &activity.columns[..] else { panic!("{activity:?}") };
        assert!(queued.starts_with("queued is -1 instead of "), "{queued}");
        assert!(deleted.starts_with("deleted is null instead of "), "{deleted}");
    }
    assert!(!rest.is_empty() && rest.iter().all(|d| d.projection == "pipeline_activity"));
    process.read_models.rebuild(&["jobs", "pipeline_activity"], |_| {}).await.unwrap();
    assert_proven(&process).await;
}

async fn a_verification_compares_what_is_parked_and_skipped(kind: StoreKind) {
    let (store, process) = Process::with_jobs(kind).await;
    store.execute("insert into parked_streams values ('webhooks', 1, 'webhook/1', 5, 'x')").await;
    store.execute("insert into skipped_events values ('runners', 1, 7)").await;
    let report = verified(&process).await;
    assert!(!report.is_clean());
    assert_eq!(
        report.parking_faults,
        [
            "runners skips the event at position 7, which nobody decided",
            "webhooks has parked webhook/1 at position 5, which can be applied",
        ]
    );
    process.read_models.rebuild(&["webhooks", "runners"], |_| {}).await.unwrap();
    assert_proven(&process).await;
}

/// No read model uses the streams of claims.
async fn a_verification_reads_every_event(kind: StoreKind) {
    let (store, process) = Process::with_jobs(kind).await;
    let answered = ClaimAnswered {
        runner_id: "r".parse().unwrap(),
        request_key: "k".to_owned(),
        job_id: JobId::generate(),
        lease_id: LeaseId::generate(),
        answered_at: DateTime::UNIX_EPOCH,
    };
    let claim = StreamId::new(StreamType::Claim, "a");
    append(&*process.log, &(claim, vec![Event::Claim(ClaimEvent::Answered(answered))]), 1).await;
    let running = process.start();
    process.caught_up().await;
    running.stop().await;
    assert_proven(&process).await;
    store.execute("update events set payload = '{}' where aggregate_type = 'claim'").await;
    let report = verified(&process).await;
    assert!(!report.is_clean());
    let [unreadable] = &report.unreadable_events[..] else { panic!("{report:?}") };
    let expected = format!("claim.answered of claim/a at position {} cannot be read: ", report.position);
    assert!(unreadable.starts_with(&expected), "{unreadable}");
    assert_eq!(report.differences, vec![]);
}

async fn a_damaged_row_of_the_log_holds_up_its_stream_alone(kind: StoreKind) {
    let (store, other) = Process::of(kind).await;
    other.append_all(&streams(14, 10), 1).await;
    // A process has in memory what it has appended itself.
    let process = Process::over(&store).await;
    store.execute("update events set metadata = '[1]' where position = 3").await;
    store.execute("update events set event_version = 'one' where position = 5").await;
    let running = process.start();
    let head = process.caught_up().await;
    let read = process.log.read_all(Position(0), 5).await.unwrap();
    assert_eq!(read.len(), 5);
    let report = verified(&process).await;
    assert_eq!(report.position, head);
    let found: Vec<bool> = report
        .unreadable_events
        .iter()
        .zip(["its metadata: ", "its version: "])
        .map(|(event, what)| event.contains(what))
        .collect();
    assert_eq!((found, report.differences), (vec![true, true], vec![]));
    process.read_models.rebuild(&["pipelines", "jobs"], |_| {}).await.unwrap();
    running.stop().await;
}

/// As after the log alone was restored.
async fn a_verification_checks_the_log_also_where_no_read_model_has_seen_it(kind: StoreKind) {
    let (store, process) = Process::of(kind).await;
    process.append_all(&streams(14, 10), 1).await;
    store.execute("delete from events where position = 3").await;
    let report = verified(&Process::over(&store).await).await;
    assert_eq!((report.position, report.head), (Position(0), process.log.head().await.unwrap()));
    assert!(report.log_faults.contains(&"position 3 is missing".to_owned()), "{report:?}");
}

/// As after an older log was restored.
async fn a_verification_tells_read_models_ahead_of_the_log_from_wrong_ones(kind: StoreKind) {
    let (store, told) = Process::with_jobs(kind).await;
    told.close().await;
    store.execute("delete from events where position > (select max(position) - 5 from events)").await;
    let process = Process::over(&store).await;
    let report = verified(&process).await;
    assert!(!report.is_clean());
    assert_eq!(report.ahead.len(), process.status().await.len());
    assert_eq!(report.head, process.log.head().await.unwrap());
    assert_eq!(
        Report { ahead: vec![], ..report.clone() },
        Report { head: report.head, at: report.at, ..Report::default() }
    );
}

on_both_stores! {
    a_verification_checks_the_log_also_where_no_read_model_has_seen_it,
    a_verification_tells_read_models_ahead_of_the_log_from_wrong_ones,
    a_verification_finds_damage_and_a_rebuild_repairs_it,
    a_verification_compares_every_column,
    a_verification_compares_what_is_parked_and_skipped,
    a_verification_reads_every_event,
    a_damaged_row_of_the_log_holds_up_its_stream_alone,
}

/// Otherwise the leading process would remove what it folds into, and let the archiver delete what it has seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_takes_long_is_not_abandoned() {
    let (store, process) = Process::with_jobs(StoreKind::Postgres).await;
    let Database::Postgres(postgres) = &process.database else { unreachable!() };
    let mut slow = postgres.pool.begin().await.unwrap();
    slow.execute("lock table pipelines_g1 in access exclusive mode").await.unwrap();
    let look = async {
        let at_head = |status: &Status| status.state == "rebuilding" && status.position == status.head;
        eventually("the comparison to begin", async || {
            process.status().await.iter().any(at_head).then_some(())
        })
        .await;
        store.execute("update checkpoints set updated_at = 0 where state = 'rebuilding'").await;
        eventually("every table to be kept", async || {
            let oldest = "select min(updated_at) from checkpoints where state = 'rebuilding'";
            let oldest: i64 = sqlx::query_scalar(oldest).fetch_one(&postgres.pool).await.unwrap();
            (oldest > 0).then_some(())
        })
        .await;
        slow.rollback().await.unwrap();
    };
    let (report, ()) = tokio::join!(verified(&process), look);
    assert!(report.is_clean(), "{report:?}");
}
