//! The rules of a job, as given, when, then. Attempt `n` is made by `runner-n` under `lease(n)`; times are seconds.

mod cancel;
mod claim;
mod commands;
mod deadline;
mod events;
mod launch;
mod lost;
mod properties;
mod purge;
mod report;
mod retry;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{
    ExpiryCause, JobCancelRequested, JobCancelled, JobClaimed, JobCompleted, JobEvent, JobLaunched,
    JobLeaseExpired, JobLeaseShown, JobPurged, JobReportRefused, JobRequeued, JobResult, JobStarted,
    JobStatus, JobTimedOut, RequeueCause,
};
use uuid::Uuid;

use self::commands::*;
use self::events::*;
use super::{
    CancelJob, ClaimJob, CompleteJob, ExpireLease, JobCommand, JobError, JobState, LaunchJob, LeasePolicy,
    PurgeJob, RefuseReport, Report, Retries, ShowLease, StartJob, TimeOutJob,
};
use crate::domain::Decider;
use crate::domain::spec::{self, Given};

const ALLOWED: Retries = Retries::Allowed { jitter: 0.0 };
const POLICY: LeasePolicy = LeasePolicy {
    lease: Duration::from_mins(2),
    legacy_lease: Duration::from_mins(15),
    start_timeout: Duration::from_mins(2),
    legacy_start_timeout: Duration::from_mins(10),
    max_lost_attempts: 3,
};

fn given(events: impl Into<Vec<JobEvent>>) -> Given<JobState> {
    spec::given(events)
}

/// The job after these events.
fn after(events: &[JobEvent]) -> JobState {
    JobState::default().after(events)
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

fn result(exit_code: i32) -> JobResult {
    JobResult { success: exit_code == 0, exit_code, output: None, error_message: None }
}
