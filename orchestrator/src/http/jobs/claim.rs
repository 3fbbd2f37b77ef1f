//! `POST /api/jobs/{id}/claim` (dialect A), `POST /api/jobs/execute/{id}` (dialect B)

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json as JsonBody};
use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::job::JobEvent;
use rivet_events::{Event, Position, StreamId, Version};
use serde::Deserialize;

use crate::domain::job::{ClaimJob, JobCommand, JobError, JobState};
use crate::domain::pipeline::{PipelineError, PipelineState};
use crate::http::answer::Recorded;
use crate::http::body::JobExecutionInfo;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Path, header_value};
use crate::http::header::{REQUEST_KEY, RequestId};
use crate::http::state::{Actor, AppState, unknown_job};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Claim {
    runner_id: RunnerId,
    /// Whether this client echoes its lease.
    #[serde(default)]
    fencing: bool,
}

pub(in crate::http) async fn claim(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    Json(body): Json<Claim>,
) -> Result<Recorded<JsonBody<JobExecutionInfo>>, ApiError> {
    let request_key = header_value(&headers, &REQUEST_KEY)?;
    let now = state.clock.now();
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Runner(&body.runner_id));
    state.contact(&body.runner_id, &metadata, now).await?;
    let job = state.commands.jobs.load(job_id).await?.aggregate;
    let launch = job.state.launch().ok_or_else(|| unknown_job(job_id))?.clone();
    // Before the claim, so that a claim that succeeds can be answered.
    let pipeline = state.pipeline(launch.pipeline_id).await?;
    let command = JobCommand::Claim(ClaimJob {
        capabilities: state.capabilities(&body.runner_id).await?,
        runner_id: body.runner_id,
        lease_id: LeaseId::generate(),
        fencing: body.fencing,
        request_key,
        now,
    });
    let committed = state.commands.jobs.execute(job_id, command, &metadata).await?;
    let info = execution_info(&committed.aggregate.state, &pipeline)?;
    let position = match committed.position {
        Some(position) => position,
        None => claimed_at(&state, job_id, info.lease_id).await?,
    };
    Ok(Recorded(position, JsonBody(info)))
}

/// What the holder of a job needs for running it.
fn execution_info(state: &JobState, pipeline: &PipelineState) -> Result<JobExecutionInfo, ApiError> {
    let JobState::Running(running) = state else { return Err(JobError::AlreadyClaimed.into()) };
    let launch = &running.launch;
    let version = pipeline.version(launch.pipeline_version).ok_or(PipelineError::NotFound)?;
    Ok(JobExecutionInfo {
        job_id: launch.job_id,
        pipeline_id: launch.pipeline_id,
        pipeline_source: version.definition.script.clone(),
        parameters: launch.parameters.clone(),
        env_vars: version.definition.config.env_vars.clone(),
        lease_id: running.holder.lease_id,
        attempt: running.holder.attempt,
    })
}

/// Where the claim that gave out a lease stands in the log.
async fn claimed_at(state: &AppState, job_id: JobId, lease_id: LeaseId) -> Result<Position, ApiError> {
    let events = state.commands.log().read_stream(&StreamId::job(job_id), Version::default()).await?;
    let claimed = events.iter().find(
        |envelope| matches!(&envelope.event, Event::Job(JobEvent::Claimed(claimed)) if claimed.lease_id == lease_id),
    );
    Ok(claimed.map_or(Position::default(), |envelope| envelope.position))
}
