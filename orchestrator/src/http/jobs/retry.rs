//! `POST /api/jobs/{id}/retry`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as JsonBody};
use rivet_events::id::JobId;
use rivet_events::job::JobLaunched;

use super::launch::{replay, supersede, was_launched};
use crate::digest;
use crate::domain::job::{JobCommand, JobState, LaunchJob};
use crate::domain::pipeline::PipelineError;
use crate::http::answer::Recorded;
use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::{Path, request_key};
use crate::http::header::{IDEMPOTENCY_KEY, RequestId};
use crate::http::state::{Actor, AppState, unknown_job};

/// Launch an ended job again.
///
/// The new job names the old one, and has the same version of the pipeline and the same parameters. With an
/// `Idempotency-Key` the same key is the same new job.
#[utoipa::path(
    post, path = "/api/jobs/{id}/retry", operation_id = "retryJob", tag = "Jobs",
    params(
        ("id" = Uuid, Path, description = "The ended job"),
        ("Idempotency-Key" = String, Header, min_length = 1, max_length = 255),
    ),
    responses(
        (status = 200, description = "The new job", body = Job,
            headers(("Rivet-Position" = u64), ("Idempotency-Replayed" = bool))),
        (status = 404, description = "`job_not_found`, `pipeline_not_found`"),
        (status = 409, description = "`not_ended`"),
    )
)]
pub(in crate::http) async fn retry(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
) -> Result<Response, ApiError> {
    let key = request_key(&headers, &IDEMPOTENCY_KEY)?;
    let digest = key.is_some().then(|| digest::of_json(&job_id));
    let id = key.map_or_else(JobId::generate, |key| JobId::for_retry_key(job_id, &key));
    if digest.is_some() && was_launched(&state, id).await? {
        return replay(&state, id, digest.as_ref()).await;
    }
    let ended = match state.commands.jobs.load_fresh(job_id).await?.aggregate.state {
        JobState::Ended(ended) => ended,
        JobState::Absent => return Err(unknown_job(job_id)),
        JobState::Queued(_) | JobState::Running(_) => {
            return Err(ApiError::conflict("not_ended", "the job has not ended: there is nothing to repeat"));
        }
    };
    let pipeline = state.commands.pipelines.load_fresh(ended.launch.pipeline_id).await?;
    if pipeline.aggregate.state.current().is_none() {
        return Err(PipelineError::NotFound.into());
    }
    let now = state.clock.now();
    let launch = JobLaunched {
        job_id: id,
        retry_of: Some(job_id),
        request_digest: digest.clone(),
        requested_at: now,
        ..JobLaunched::clone(&ended.launch)
    };
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Client);
    let command = JobCommand::Launch(LaunchJob { launch: Box::new(launch) });
    let committed = state.commands.jobs.execute(id, command, &metadata).await?;
    let Some(position) = committed.position else { return replay(&state, id, digest.as_ref()).await };
    let job = Job::from_state(&committed.aggregate.state, now).ok_or_else(|| unknown_job(id))?;
    supersede(&state, &committed.aggregate.state).await;
    Ok(Recorded(position, JsonBody(job)).into_response())
}
