//! Carries out a claim, of a job by its id or of the next job, and makes the answer to it.

use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::job::{Concurrency, JobEvent};
use rivet_events::log::StreamWrite;
use rivet_events::pipeline::PipelineDefinition;
use rivet_events::{Event, Metadata, Position, StreamId, Version};

use super::body::JobExecutionInfo;
use super::claim_error::ClaimError;
use crate::commands::{CommandError, Committed, Loaded};
use crate::domain::group::{Group, GroupCommand, GroupError, Place, TakePlace};
use crate::domain::job::{ClaimJob, Job, JobCommand, JobError, JobState};
use crate::domain::runner::RunnerState;
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::state::{AppState, unknown_job};
use crate::telemetry::chain;

/// Most tries of a claim whose runner or concurrency group changes meanwhile.
const MAX_TRIES: usize = 16;
/// Places of a full group that are given back at once.
const FREED_AT_ONCE: usize = 32;

/// A claim on a job.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) job_id: JobId,
    pub(super) runner_id: RunnerId,
    pub(super) lease_id: LeaseId,
    pub(super) fencing: bool,
    pub(super) request_key: Option<String>,
}

/// Claims the job. `along` is what is written to other streams in the same append.
pub(super) async fn claim(
    state: &AppState,
    claim: &Claim,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Recorded<JobExecutionInfo>, ClaimError> {
    let runners = &state.commands.runners;
    for _ in 0..MAX_TRIES {
        let runner = runners.load(&claim.runner_id).await?;
        // The runner may have registered again at another replica, with other capabilities.
        let unmoved = runner.unmoved();
        let stream = unmoved.stream.clone();
        let along: Vec<StreamWrite> = along.iter().cloned().chain([unmoved]).collect();
        match claim_as(state, claim, &runner.aggregate.state, &along, metadata).await {
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

/// Claims the job for a runner that is in this state.
async fn claim_as(
    state: &AppState,
    claim: &Claim,
    runner: &RunnerState,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Recorded<JobExecutionInfo>, ClaimError> {
    let job_id = claim.job_id;
    let job = state.commands.jobs.load(job_id).await?.aggregate;
    let launch = job.state.launch().ok_or(JobError::NotFound)?.clone();
    // Loaded before the claim, so that a claim that succeeds can be answered.
    let definition = state.definition_of(&launch).await?;
    let command = ClaimJob {
        runner_id: claim.runner_id.clone(),
        capabilities: runner.capabilities().map(<[String]>::to_vec),
        lease_id: claim.lease_id,
        fencing: claim.fencing,
        request_key: claim.request_key.clone(),
        has_place: false,
        now: state.clock.now(),
    };
    let committed = match &launch.concurrency {
        Some(concurrency) => claim_with_place(state, job_id, concurrency, command, along, metadata).await?,
        None => execute(state, job_id, command, along, metadata).await?,
    };
    let info = execution_info(&committed.aggregate.state, &definition)?;
    let position = match committed.position {
        Some(position) => position,
        None => claimed_at(state, job_id, info.lease_id).await?,
    };
    Ok(Recorded(position, info))
}

async fn execute(
    state: &AppState,
    job_id: JobId,
    claim: ClaimJob,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Committed<Job>, CommandError<JobError>> {
    state.commands.jobs.execute_along(job_id, JobCommand::Claim(claim), metadata, along).await
}

/// Claims a job and a place in its concurrency group, in one append.
async fn claim_with_place(
    state: &AppState,
    job_id: JobId,
    concurrency: &Concurrency,
    claim: ClaimJob,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Committed<Job>, ClaimError> {
    let groups = &state.commands.groups;
    let group_id = StreamId::group(&concurrency.group).id;
    let place = Place { job_id, lease_id: claim.lease_id };
    let _turn = state.commands.turn_in_group(&group_id).await;
    for _ in 0..MAX_TRIES {
        let group = groups.load(&group_id).await?;
        let (write, group) = match take_place(state, &group, place, concurrency).await {
            // Perhaps full because of this very job, which was claimed before. Then the job answers without a place.
            Err(ClaimError::Full(full)) => {
                return match execute(state, job_id, claim, along, metadata).await {
                    Err(CommandError::Refused(JobError::PlaceMissing)) => Err(full.into()),
                    claimed => Ok(claimed?),
                };
            }
            taken => taken?,
        };
        let stream = write.stream.clone();
        let writes: Vec<StreamWrite> = std::iter::once(write).chain(along.iter().cloned()).collect();
        let claim = ClaimJob { has_place: true, ..claim.clone() };
        match execute(state, job_id, claim, &writes, metadata).await {
            Err(CommandError::Stale(moved)) if moved == stream => groups.forget(&group_id),
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

/// Lets the group decide on one more place. It may be stale: what it takes for a running job either is one or has
/// ended, which is looked up, so it is never full by mistake. A place that it gives by mistake meets a conflict.
async fn take_place(
    state: &AppState,
    group: &Loaded<Group>,
    place: Place,
    concurrency: &Concurrency,
) -> Result<(StreamWrite, Loaded<Group>), ClaimError> {
    let groups = &state.commands.groups;
    let take = |ended| {
        let (group, limit) = (concurrency.group.clone(), concurrency.limit);
        GroupCommand::TakePlace(TakePlace { group, place, limit, ended, now: state.clock.now() })
    };
    let mut decided = groups.decide(group, take(vec![])).await;
    if let Err(CommandError::Refused(GroupError::Full { .. })) = decided {
        let ended = ended(state, &group.aggregate.state.places, concurrency.limit).await?;
        decided = groups.decide(group, take(ended)).await;
    }
    Ok(decided?)
}

/// Places whose leases have ended, the oldest ones: enough for this claim and for some that follow.
async fn ended(state: &AppState, places: &[Place], limit: u32) -> Result<Vec<Place>, CommandError<JobError>> {
    let enough = places.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX)) + FREED_AT_ONCE;
    let mut ended = Vec::new();
    for place in places {
        if !is_held(state, place).await? {
            ended.push(*place);
        }
        if ended.len() == enough {
            break;
        }
    }
    Ok(ended)
}

/// Whether the lease of a place holds. Jobs are read from the log: the group may have a place of a claim that this
/// process has appended, but does not have in its cache yet.
async fn is_held(state: &AppState, place: &Place) -> Result<bool, CommandError<JobError>> {
    match state.commands.jobs.reload(place.job_id).await {
        Ok(job) => Ok(matches!(&job.aggregate.state,
            JobState::Running(running) if running.holder.lease_id == place.lease_id)),
        // It may run. The other places can still be given.
        Err(CommandError::Corrupt(stream, error)) => {
            let error = chain(&*error);
            tracing::warn!(stream.id = %stream, %error, "a job that cannot be read keeps the place in its group");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The answer of a claim that was won before, if its lease still holds.
pub(super) async fn answer_again(
    state: &AppState,
    job_id: JobId,
    lease_id: LeaseId,
) -> Result<Recorded<JobExecutionInfo>, ApiError> {
    let job = state.commands.jobs.reload(job_id).await?.aggregate;
    let launch = job.state.launch().ok_or_else(|| unknown_job(job_id))?;
    let definition = state.definition_of(launch).await?;
    let info = execution_info(&job.state, &definition)?;
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
