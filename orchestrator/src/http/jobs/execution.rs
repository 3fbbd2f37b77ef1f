//! Carries out a claim, of a job by its id or of the next job, and makes the answer to it.

use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::job::{Concurrency, JobEvent};
use rivet_events::log::{StoreError, StreamWrite};
use rivet_events::pipeline::PipelineDefinition;
use rivet_events::{Event, Metadata, Position, StreamId, Version};

use crate::commands::{CommandError, Committed};
use crate::domain::group::{GroupCommand, Place, TakePlace};
use crate::domain::job::{ClaimJob, Job, JobCommand, JobError, JobState};
use crate::http::answer::Recorded;
use crate::http::body::JobExecutionInfo;
use crate::http::error::ApiError;
use crate::http::state::{AppState, unknown_job};

/// Most tries of a claim whose concurrency group changes meanwhile.
const MAX_TRIES: usize = 16;

/// A claim on a job.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) job_id: JobId,
    pub(super) runner_id: RunnerId,
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) lease_id: LeaseId,
    pub(super) fencing: bool,
    pub(super) request_key: Option<String>,
}

/// Why a claim was not won.
#[derive(Debug)]
pub(super) enum ClaimError {
    /// The job refuses it.
    Refused(ApiError),
    /// The job's concurrency group has no place left.
    Full(ApiError),
    /// Another stream in the same append has moved.
    Stale,
    /// The job, its group or its pipeline cannot be read.
    Corrupt(StreamId, StoreError),
    /// Anything else.
    Failed(ApiError),
}

impl From<ApiError> for ClaimError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl<E: Into<ApiError> + std::error::Error + 'static> From<CommandError<E>> for ClaimError {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::Refused(refusal) => Self::Refused(refusal.into()),
            CommandError::Stale(_) => Self::Stale,
            CommandError::Corrupt(stream, error) => Self::Corrupt(stream, error),
            CommandError::Contended(_) | CommandError::Overloaded | CommandError::Unavailable(_) => {
                Self::Failed(error.into())
            }
        }
    }
}

impl From<ClaimError> for ApiError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Stale => Self::unavailable("contended", "the job changes too fast"),
            ClaimError::Corrupt(stream, error) => CommandError::<JobError>::Corrupt(stream, error).into(),
            ClaimError::Refused(error) | ClaimError::Full(error) | ClaimError::Failed(error) => error,
        }
    }
}

/// Claims the job. `along` is what is written to other streams in the same append.
pub(super) async fn claim(
    state: &AppState,
    claim: Claim,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Recorded<JobExecutionInfo>, ClaimError> {
    let job_id = claim.job_id;
    let job = state.commands.jobs.load(job_id).await?.aggregate;
    let launch = job.state.launch().ok_or_else(|| ClaimError::Refused(unknown_job(job_id)))?.clone();
    // Loaded before the claim, so that a claim that succeeds can be answered.
    let definition = state.definition_of(&launch).await?;
    let command = ClaimJob {
        runner_id: claim.runner_id,
        capabilities: claim.capabilities,
        lease_id: claim.lease_id,
        fencing: claim.fencing,
        request_key: claim.request_key,
        has_place: false,
        now: state.clock.now(),
    };
    let committed = match &launch.concurrency {
        Some(concurrency) => claim_in_group(state, &job, command, concurrency, along, metadata).await?,
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

/// Claims a job of a concurrency group. `job` may be stale: whether the claim needs a place in the group, the job
/// decides as it is in the log.
async fn claim_in_group(
    state: &AppState,
    job: &Job,
    claim: ClaimJob,
    concurrency: &Concurrency,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Committed<Job>, ClaimError> {
    let launch = job.state.launch().expect("invariant: a job with a group was launched");
    let place = Place { job_id: launch.job_id, lease_id: claim.lease_id };
    // A job that is not queued refuses the claim, or recognises it as a repeated one, without a place.
    if !matches!(job.state, JobState::Queued(_)) {
        match execute(state, place.job_id, claim.clone(), along, metadata).await {
            Err(CommandError::Refused(JobError::PlaceMissing)) => {}
            claimed => return Ok(claimed?),
        }
    }
    claim_with_place(state, place, concurrency, claim, along, metadata).await
}

/// Claims a job and a place in its group, in one append.
async fn claim_with_place(
    state: &AppState,
    place: Place,
    concurrency: &Concurrency,
    claim: ClaimJob,
    along: &[StreamWrite],
    metadata: &Metadata,
) -> Result<Committed<Job>, ClaimError> {
    let groups = &state.commands.groups;
    let group_id = StreamId::group(&concurrency.group).id;
    for _ in 0..MAX_TRIES {
        let group = groups.load_fresh(&group_id).await?;
        let take = GroupCommand::TakePlace(TakePlace {
            group: concurrency.group.clone(),
            place,
            limit: concurrency.limit,
            ended: ended(state, &group.aggregate.state.places).await?,
            now: state.clock.now(),
        });
        let write = match groups.decide(&group, take).await {
            // Perhaps full because of this very job, which was claimed before. Then the job answers without a place.
            Err(CommandError::Refused(full)) => {
                return match execute(state, place.job_id, claim, along, metadata).await {
                    Err(CommandError::Refused(JobError::PlaceMissing)) => Err(ClaimError::Full(full.into())),
                    claimed => Ok(claimed?),
                };
            }
            decided => decided?,
        };
        let stream = write.stream.clone();
        let writes: Vec<StreamWrite> = std::iter::once(write).chain(along.iter().cloned()).collect();
        let claim = ClaimJob { has_place: true, ..claim.clone() };
        let claimed = execute(state, place.job_id, claim, &writes, metadata).await;
        groups.forget(&group_id);
        match claimed {
            Err(CommandError::Stale(moved)) if moved == stream => {}
            claimed => return Ok(claimed?),
        }
    }
    Err(ApiError::unavailable("contended", "the concurrency group changes too fast").into())
}

/// The places whose leases have ended. Jobs are read from the log, as the group was: it may have a place of a claim
/// that this process has appended, but does not have in its cache yet.
async fn ended(state: &AppState, places: &[Place]) -> Result<Vec<Place>, CommandError<JobError>> {
    let mut ended = Vec::new();
    for place in places {
        let job = state.commands.jobs.reload(place.job_id).await?.aggregate;
        let held =
            matches!(&job.state, JobState::Running(running) if running.holder.lease_id == place.lease_id);
        if !held {
            ended.push(*place);
        }
    }
    Ok(ended)
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
