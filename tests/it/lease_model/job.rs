//! The job aggregate in a form that a model checker can hash, and the commands to it.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::LeaseId;
use rivet_events::job::{JobEvent, JobLaunched, JobResult, JobStatus};
use rivet_events::runner::Capabilities;
use rivet_orchestrator::domain::Decider;
use rivet_orchestrator::domain::job::{
    ClaimJob, ExpireLease, History, JobCommand, JobError, JobState, LaunchJob, LeasePolicy, Report, Retries,
};
use uuid::Uuid;

use super::world::Client;

/// The default limits, shortened in proportion, so that a few minutes reach every deadline.
pub(super) const RUN_TIMEOUT: Duration = Duration::from_mins(2);
const POLICY: LeasePolicy = LeasePolicy {
    lease: Duration::from_mins(1),
    legacy_lease: Duration::from_mins(2),
    start_timeout: Duration::from_mins(1),
    legacy_start_timeout: Duration::from_mins(2),
    max_lost_attempts: 2,
};
pub(super) const ALLOWED: Retries = Retries::Allowed { jitter: 0.0 };

/// The aggregate under test. States are compared by a digest of their snapshots.
#[derive(Debug, Clone)]
pub(super) struct DigestedJob(Arc<Digested>);

#[derive(Debug)]
struct Digested {
    state: JobState,
    /// Made when it is asked for, since most of the time of a search goes into it.
    digest: OnceLock<Uuid>,
}

impl PartialEq for DigestedJob {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Hash for DigestedJob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl DigestedJob {
    pub(super) fn launched(max_retries: u32, retry_on_runner_lost: bool) -> Self {
        let launch = JobLaunched {
            job_id: Uuid::from_u128(1).into(),
            pipeline_id: Uuid::from_u128(2).into(),
            pipeline_version: 1,
            parameters: serde_json::Map::new(),
            demands: vec![],
            priority: 5,
            max_retries,
            timeout_seconds: None,
            retry_on_runner_lost,
            concurrency: None,
            retry_of: None,
            request_digest: None,
            requested_at: at(0),
        };
        let mut job = Self::of(JobState::default());
        job.handle(JobCommand::Launch(LaunchJob { launch: Box::new(launch) }))
            .expect("a new job is launched");
        job
    }

    pub(super) fn state(&self) -> &JobState {
        &self.0.state
    }

    fn of(state: JobState) -> Self {
        Self(Arc::new(Digested { state, digest: OnceLock::new() }))
    }

    fn digest(&self) -> &Uuid {
        self.0.digest.get_or_init(|| {
            let snapshot = serde_json::to_vec(self.state()).expect("a job has a snapshot");
            Uuid::new_v5(&Uuid::NAMESPACE_OID, &snapshot)
        })
    }

    pub(super) fn history(&self) -> &History {
        match self.state() {
            JobState::Queued(queued) => &queued.history,
            JobState::Running(running) => &running.history,
            JobState::Ended(ended) => &ended.history,
            JobState::Absent => unreachable!("the job was launched"),
        }
    }

    pub(super) fn holder_lease(&self) -> Option<LeaseId> {
        match self.state() {
            JobState::Running(running) => Some(running.holder.lease_id),
            JobState::Absent | JobState::Queued(_) | JobState::Ended(_) => None,
        }
    }

    pub(super) fn handle(&mut self, command: JobCommand) -> Result<Vec<JobEvent>, JobError> {
        let recorded = self.state().decide(command)?;
        if !recorded.is_empty() {
            *self = Self::of(self.state().after(&recorded));
        }
        Ok(recorded)
    }
}

pub(super) fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

pub(super) fn lease(number: u8) -> LeaseId {
    Uuid::from_u128(number.into()).into()
}

/// Each runner reports a different result, so that two reports are never equal by chance.
pub(super) fn report(runner: usize, success: bool) -> Report {
    let status = if success { JobStatus::Succeeded } else { JobStatus::Failed };
    let exit_code = i32::try_from(runner).expect("there are two runners");
    Report { status, result: Some(JobResult { success, exit_code, output: None, error_message: None }) }
}

pub(super) fn claim(
    client: Client,
    (runner, request): (usize, u8),
    number: u8,
    now: DateTime<Utc>,
) -> JobCommand {
    let fencing = client == Client::Fencing;
    JobCommand::Claim(ClaimJob {
        runner_id: format!("runner-{runner}").parse().expect("a name"),
        capabilities: Capabilities::default(),
        lease_id: lease(number),
        fencing,
        request_key: fencing.then(|| format!("request-{request}")),
        has_place: false,
        now,
    })
}

pub(super) fn expire(
    lease_id: LeaseId,
    last_contact: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> JobCommand {
    let expire =
        ExpireLease { lease_id, last_contact, rebooted: false, policy: POLICY, retries: ALLOWED, now };
    JobCommand::ExpireLease(expire)
}
