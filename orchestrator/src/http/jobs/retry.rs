//! `POST /api/jobs/{id}/retry`: launches an ended job again, as a new job.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use rivet_events::id::JobId;
use rivet_events::job::JobLaunched;

use super::body::Job;
use super::launch::{execute, replayed};
use crate::digest;
use crate::domain::job::JobState;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path, request_key};
use crate::http::header::IDEMPOTENCY_KEY;
use crate::http::state::{AppState, unknown_job, unknown_pipeline};

/// Launch an ended job again.
///
/// The new job names the old one as `retry_of`, and has the same version of the pipeline and the same parameters. With
/// an `Idempotency-Key`, the same key is the same new job.
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
    Client(metadata): Client,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
) -> Result<Response, ApiError> {
    let key = request_key(&headers, &IDEMPOTENCY_KEY)?;
    let digest = key.is_some().then(|| digest::of_json(&job_id));
    let id = key.map_or_else(JobId::generate, |key| JobId::for_retry_key(job_id, &key));
    if let Some(replayed) = replayed(&state, id, digest.as_ref()).await? {
        return Ok(replayed);
    }
    let job = state.commands.jobs.load_fresh(job_id).await?;
    let ended = match &*job.state {
        JobState::Ended(ended) => ended,
        JobState::Absent => return Err(unknown_job(job_id)),
        JobState::Queued(_) | JobState::Running(_) => {
            return Err(ApiError::conflict("not_ended", "the job has not ended: there is nothing to repeat"));
        }
    };
    let launch = JobLaunched {
        job_id: id,
        retry_of: Some(job_id),
        request_digest: digest,
        requested_at: state.clock.now(),
        ..JobLaunched::clone(&ended.launch)
    };
    execute(&state, launch.pipeline_id, &metadata, |pipeline| {
        pipeline.current().ok_or_else(|| unknown_pipeline(launch.pipeline_id))?;
        Ok(launch.clone())
    })
    .await
}
