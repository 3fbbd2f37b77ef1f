//! The rules of a job, as given, when, then. Attempt `n` is made by `runner-n` under `lease(n)`; times are seconds.

mod cancel;
mod claim;
mod deadline;
mod launch;
mod lost;
mod properties;
mod purge;
mod report;
mod retry;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate;
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{
    ExpiryCause, JobCancelRequested, JobCancelled, JobClaimed, JobCompleted, JobEvent, JobLaunched,
    JobLeaseExpired, JobLeaseShown, JobPurged, JobReportRefused, JobRequeued, JobResult, JobStarted,
    JobStatus, JobTimedOut, RequeueCause,
};
use uuid::Uuid;

use super::fixture::plain_launch;
use super::{
    CancelJob, ClaimJob, CompleteJob, ExpireLease, Job, JobCommand, JobError, LaunchJob, LeasePolicy,
    PurgeJob, RefuseReport, Report, Retries, ShowLease, StartJob, TimeOutJob,
};
use crate::domain::spec::{self, Given};

const ALLOWED: Retries = Retries::Allowed { jitter: 0.0 };
const POLICY: LeasePolicy = LeasePolicy {
    lease: Duration::from_mins(2),
    legacy_lease: Duration::from_mins(15),
    start_timeout: Duration::from_mins(2),
    legacy_start_timeout: Duration::from_mins(10),
    max_lost_attempts: 3,
};

fn given(events: impl Into<Vec<JobEvent>>) -> Given<Job> {
    spec::given(events)
}

/// The job after these events.
fn after(events: &[JobEvent]) -> Job {
    let mut job = Job::default();
    for event in events {
        job.apply(event.clone());
    }
    job
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn job() -> JobId {
    Uuid::from_u128(1).into()
}

fn pipeline() -> PipelineId {
    Uuid::from_u128(2).into()
}

fn lease(attempt: u32) -> LeaseId {
    Uuid::from_u128(100 + u128::from(attempt)).into()
}

fn runner(attempt: u32) -> RunnerId {
    format!("runner-{attempt}").parse().unwrap()
}

// What has happened.

fn launch() -> JobLaunched {
    plain_launch(job(), pipeline(), at(0))
}

fn launched() -> JobEvent {
    JobEvent::Launched(launch())
}

fn launched_with_retries(max_retries: u32) -> JobEvent {
    JobEvent::Launched(JobLaunched { max_retries, ..launch() })
}

fn claim_recorded(attempt: u32, second: i64) -> JobClaimed {
    JobClaimed {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        lease_id: lease(attempt),
        fencing: true,
        request_key: None,
        ready_at: Some(at(0)),
        claimed_at: at(second),
    }
}

/// Claimed by a runner that echoes its lease.
fn claimed(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Claimed(claim_recorded(attempt, second))
}

/// Claimed by a runner that knows nothing of leases.
fn claimed_unfenced(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Claimed(JobClaimed { fencing: false, ..claim_recorded(attempt, second) })
}

fn start_recorded(attempt: u32, second: i64) -> JobStarted {
    JobStarted {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        fencing: true,
        started_at: at(second),
    }
}

fn started(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Started(start_recorded(attempt, second))
}

fn started_unfenced(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Started(JobStarted { fencing: false, ..start_recorded(attempt, second) })
}

/// Known to echo its lease.
fn shown(attempt: u32, second: i64) -> JobEvent {
    JobEvent::LeaseShown(JobLeaseShown {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        shown_at: at(second),
    })
}

fn expired(attempt: u32, cause: ExpiryCause, second: i64) -> JobEvent {
    JobEvent::LeaseExpired(JobLeaseExpired {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        lease_id: lease(attempt),
        cause,
        expired_at: at(second),
    })
}

fn requeue_recorded(attempt: u32, cause: RequeueCause, second: i64) -> JobRequeued {
    JobRequeued {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        cause,
        result: None,
        needs_fencing: false,
        due_at: at(second),
        requeued_at: at(second),
    }
}

/// Back in the queue after a reported failure, due a second later.
fn requeued_failed(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Requeued(JobRequeued {
        result: Some(result(1)),
        due_at: at(second + 1),
        ..requeue_recorded(attempt, RequeueCause::Failed, second)
    })
}

/// Back in the queue at once: its holder was lost.
fn requeued_lost(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Requeued(requeue_recorded(attempt, RequeueCause::RunnerLost, second))
}

fn end_recorded(attempt: u32, status: JobStatus, second: i64) -> JobCompleted {
    JobCompleted {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        status,
        result: None,
        reason: None,
        completed_at: at(second),
    }
}

fn succeeded(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Completed(JobCompleted {
        result: Some(result(0)),
        ..end_recorded(attempt, JobStatus::Succeeded, second)
    })
}

fn failed_for(reason: &str, attempt: u32, second: i64) -> JobEvent {
    JobEvent::Completed(JobCompleted {
        reason: Some(reason.to_owned()),
        ..end_recorded(attempt, JobStatus::Failed, second)
    })
}

fn cancel_requested(second: i64) -> JobCancelRequested {
    JobCancelRequested {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(1),
        reason: Some("unwanted".to_owned()),
        force: false,
        requested_at: at(second),
    }
}

/// Cancelled under attempt 1, with nothing reported.
fn cancelled(second: i64) -> JobCancelled {
    JobCancelled {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: Some(runner(1)),
        attempt: 1,
        result: None,
        reason: Some("unwanted".to_owned()),
        cancelled_at: at(second),
    }
}

fn timed_out(attempt: u32, reason: &str, second: i64) -> JobTimedOut {
    JobTimedOut {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: Some(runner(attempt)),
        attempt,
        result: None,
        reason: reason.to_owned(),
        timed_out_at: at(second),
    }
}

fn refused(attempt: u32, second: i64) -> JobEvent {
    JobEvent::ReportRefused(JobReportRefused {
        job_id: job(),
        pipeline_id: pipeline(),
        lease_id: lease(attempt),
        status: JobStatus::Succeeded,
        result: Some(result(0)),
        refused_at: at(second),
    })
}

/// Purged, a while after it timed out.
fn purged(second: i64) -> JobEvent {
    JobEvent::Purged(JobPurged {
        job_id: job(),
        pipeline_id: pipeline(),
        status: JobStatus::TimedOut,
        purged_at: at(second),
    })
}

// What is asked.

fn result(exit_code: i32) -> JobResult {
    JobResult { success: exit_code == 0, exit_code, output: None, error_message: None }
}

fn success() -> Report {
    Report { status: JobStatus::Succeeded, result: Some(result(0)) }
}

fn failure() -> Report {
    Report { status: JobStatus::Failed, result: Some(result(1)) }
}

fn claim(attempt: u32, second: i64) -> ClaimJob {
    ClaimJob {
        runner_id: runner(attempt),
        capabilities: None,
        lease_id: lease(attempt),
        fencing: true,
        request_key: None,
        has_place: false,
        now: at(second),
    }
}

fn start(lease: Option<LeaseId>, second: i64) -> JobCommand {
    JobCommand::Start(StartJob { lease, now: at(second) })
}

fn show_lease(attempt: u32, second: i64) -> JobCommand {
    JobCommand::ShowLease(ShowLease { lease: lease(attempt), now: at(second) })
}

fn complete(lease: Option<LeaseId>, report: Report, second: i64) -> JobCommand {
    JobCommand::Complete(CompleteJob { lease, report, retries: ALLOWED, now: at(second) })
}

fn refuse(attempt: u32, second: i64) -> JobCommand {
    JobCommand::RefuseReport(RefuseReport { lease: lease(attempt), report: success(), now: at(second) })
}

/// A cancel while the holder was last heard of at second 10.
fn cancel(second: i64) -> CancelJob {
    CancelJob {
        reason: Some("unwanted".to_owned()),
        force: false,
        grace: Duration::from_mins(1),
        last_contact: Some(at(10)),
        now: at(second),
    }
}

fn expire(attempt: u32, second: i64) -> ExpireLease {
    ExpireLease {
        lease_id: lease(attempt),
        last_contact: None,
        rebooted: false,
        policy: POLICY,
        retries: ALLOWED,
        now: at(second),
    }
}

fn time_out(second: i64) -> JobCommand {
    JobCommand::TimeOut(TimeOutJob {
        queue_timeout: Duration::from_hours(24),
        run_timeout: Duration::from_hours(1),
        retries: ALLOWED,
        now: at(second),
    })
}

macro_rules! command_from {
    ($($command:ident($payload:ident)),+) => {$(
        impl From<$payload> for JobCommand {
            fn from(payload: $payload) -> Self {
                Self::$command(payload)
            }
        }
    )+};
}

command_from!(Launch(LaunchJob), Claim(ClaimJob), Cancel(CancelJob), ExpireLease(ExpireLease));

/// One command of each kind, as if from somebody who holds no lease.
fn every_command(second: i64) -> Vec<JobCommand> {
    vec![
        LaunchJob { launch: Box::new(launch()) }.into(),
        claim(9, second).into(),
        start(None, second),
        show_lease(9, second),
        complete(None, success(), second),
        refuse(9, second),
        cancel(second).into(),
        expire(9, second).into(),
        time_out(second),
    ]
}
