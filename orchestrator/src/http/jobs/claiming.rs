//! Carries out a claim, of a job by its id or of the next job, and makes the answer to it.

use std::iter;

use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::job::{Concurrency, JobEvent};
use rivet_events::log::StreamWrite;
use rivet_events::pipeline::PipelineDefinition;
use rivet_events::{Event, Metadata, Position, StreamId, Version};

use super::body::JobExecutionInfo;
use super::claim_error::ClaimError;
use super::group_place::take_place;
use crate::commands::{CommandError, Committed};
use crate::domain::group::Place;
use crate::domain::job::{ClaimJob, JobCommand, JobError, JobState};
use crate::domain::runner::RunnerState;
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::state::{AppState, unknown_job};

/// Most tries of a claim whose runner or concurrency group changes meanwhile.
const MAX_TRIES: usize = 16;

/// A claim on a job.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) job_id: JobId,
    pub(super) runner_id: RunnerId,
    pub(super) lease_id: LeaseId,
    pub(super) fencing: bool,
    pub(super) request_key: Option<String>,
    pub(super) metadata: Metadata,
}

/// Claims the job. `along` is what is written to other streams in the same append.
pub(super) async fn claim(
    state: &AppState,
    claim: &Claim,
    along: &[StreamWrite],
) -> Result<Recorded<JobExecutionInfo>, ClaimError> {
    let runners = &state.commands.runners;
    for _ in 0..MAX_TRIES {
        let runner = runners.load(&claim.runner_id).await?;
        // The runner may have registered again at another replica, with other capabilities.
        let unmoved = runner.unmoved();
        let stream = unmoved.stream.clone();
        let along = along.iter().cloned().chain([unmoved]).collect();
        match (Claiming { state, claim, along }).as_runner(&runner.state).await {
            Err(ClaimError::Stale(moved)) if moved == stream => {
                runners.reload(&claim.runner_id).await?;
            }
            Err(ClaimError::Refused(JobError::CapabilityMissing { .. }))
                if !runners.is_current(&runner).await? => {}
            claimed => return claimed,
        }
    }
    Err(ApiError::unavailable("contended", "the runner changes too fast").into())
}

/// One try of a claim.
struct Claiming<'a> {
    state: &'a AppState,
    claim: &'a Claim,
    /// What is written to other streams in the same append.
    along: Vec<StreamWrite>,
}

impl Claiming<'_> {
    /// Claims the job for a runner that is in this state.
    async fn as_runner(&self, runner: &RunnerState) -> Result<Recorded<JobExecutionInfo>, ClaimError> {
        let Self { state, claim, .. } = self;
        let job = state.commands.jobs.load(claim.job_id).await?.state;
        let launch = job.launch().ok_or(JobError::NotFound)?.clone();
        // Loaded before the claim, so that a claim that succeeds can be answered.
        let definition = state.definition_of(&launch).await?;
        let command = ClaimJob {
            runner_id: claim.runner_id.clone(),
            capabilities: runner.capabilities(),
            lease_id: claim.lease_id,
            fencing: claim.fencing,
            request_key: claim.request_key.clone(),
            has_place: false,
            now: state.clock.now(),
        };
        let committed = match &launch.concurrency {
            Some(concurrency) => self.with_place(concurrency, command).await?,
            None => self.execute(command, &self.along).await?,
        };
        let info = execution_info(&committed.state, &definition)?;
        let position = match committed.position {
            Some(position) => position,
            None => claimed_at(state, claim.job_id, info.lease_id).await?,
        };
        Ok(Recorded(position, info))
    }

    /// Claims the job and a place in its concurrency group, in one append.
    async fn with_place(
        &self,
        concurrency: &Concurrency,
        command: ClaimJob,
    ) -> Result<Committed<JobState>, ClaimError> {
        let groups = &self.state.commands.groups;
        let group_id = StreamId::group(&concurrency.group).id;
        let place = Place { job_id: self.claim.job_id, lease_id: self.claim.lease_id };
        let _lock = self.state.commands.lock_group(&group_id).await;
        for _ in 0..MAX_TRIES {
            let group = groups.load(&group_id).await?;
            let (write, group) = match take_place(self.state, &group, place, concurrency).await {
                // Perhaps full because of this very job, which was claimed before. Then the job answers without a
                // place.
                Err(ClaimError::Full(full)) => {
                    return match self.execute(command, &self.along).await {
                        Err(CommandError::Refused(JobError::PlaceMissing)) => Err(full.into()),
                        claimed => Ok(claimed?),
                    };
                }
                taken => taken?,
            };
            let stream = write.stream.clone();
            let writes: Vec<StreamWrite> = iter::once(write).chain(self.along.iter().cloned()).collect();
            match self.execute(ClaimJob { has_place: true, ..command.clone() }, &writes).await {
                Err(CommandError::Stale(moved)) if moved == stream => groups.evict(&group_id),
                claimed => {
                    // A repeated claim appends nothing.
                    if claimed.as_ref().is_ok_and(|claimed| claimed.position.is_some()) {
                        groups.remember(&group);
                    }
                    return Ok(claimed?);
                }
            }
        }
        Err(ApiError::unavailable("contended", "the concurrency group changes too fast").into())
    }

    async fn execute(
        &self,
        command: ClaimJob,
        writes: &[StreamWrite],
    ) -> Result<Committed<JobState>, CommandError<JobError>> {
        let Claim { job_id, metadata, .. } = self.claim;
        let command = JobCommand::Claim(command);
        self.state.commands.jobs.execute_along(*job_id, command, metadata, writes).await
    }
}

/// The answer of a claim that was won before, if its lease still holds.
pub(super) async fn answer_again(
    state: &AppState,
    job_id: JobId,
    lease_id: LeaseId,
) -> Result<Recorded<JobExecutionInfo>, ApiError> {
    let job = state.commands.jobs.reload(job_id).await?.state;
    let launch = job.launch().ok_or_else(|| unknown_job(job_id))?;
    let definition = state.definition_of(launch).await?;
    let info = execution_info(&job, &definition)?;
    if info.lease_id != lease_id {
        return Err(JobError::LeaseLost.into());
    }
    Ok(Recorded(claimed_at(state, job_id, lease_id).await?, info))
}

/// What the holder of a job needs to run it.
fn execution_info(state: &JobState, definition: &PipelineDefinition) -> Result<JobExecutionInfo, ApiError> {
    let JobState::Running(running) = state else { return Err(JobError::LeaseLost.into()) };
    let launch = &running.launch;
    Ok(JobExecutionInfo {
        job_id: launch.job_id,
        pipeline_id: launch.pipeline_id,
        pipeline_source: definition.script.clone(),
        parameters: launch.parameters.clone(),
        env_vars: definition.config.env_vars.clone(),
        lease_id: running.holder.lease_id,
        attempt: running.holder.attempt,
    })
}

/// The position of the claim that granted a lease.
async fn claimed_at(state: &AppState, job_id: JobId, lease_id: LeaseId) -> Result<Position, ApiError> {
    let events = state.commands.log().read_stream(&StreamId::job(job_id), Version::default()).await?;
    let claimed = events.iter().find(
        |envelope| matches!(&envelope.event, Event::Job(JobEvent::Claimed(claimed)) if claimed.lease_id == lease_id),
    );
    Ok(claimed.map_or(Position::default(), |envelope| envelope.position))
}
