//! `POST /api/jobs/{id}/retry`: launches an ended job again, as a new job.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json as JsonBody};
use rivet_events::id::JobId;
use rivet_events::job::JobLaunched;

use super::launch::supersede;
use crate::domain::job::{JobCommand, JobState, LaunchJob};
use crate::domain::pipeline::PipelineError;
use crate::http::answer::Recorded;
use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::header::RequestId;
use crate::http::state::{Actor, AppState, unknown_job};

/// Launch an ended job again.
///
/// The new job names the old one as `retry_of`, and has the same version of the pipeline and the same parameters.
#[utoipa::path(
    post, path = "/api/jobs/{id}/retry", operation_id = "retryJob", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The ended job")),
    responses(
        (status = 200, description = "The new job", body = Job, headers(("Rivet-Position" = u64))),
        (status = 404, description = "`job_not_found`, `pipeline_not_found`"),
        (status = 409, description = "`not_ended`"),
    )
)]
pub(in crate::http) async fn retry(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
) -> Result<Recorded<JsonBody<Job>>, ApiError> {
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
    let (id, now) = (JobId::generate(), state.clock.now());
    let launch = JobLaunched {
        job_id: id,
        retry_of: Some(job_id),
        request_digest: None,
        requested_at: now,
        ..JobLaunched::clone(&ended.launch)
    };
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Client);
    let command = JobCommand::Launch(LaunchJob { launch: Box::new(launch) });
    let committed = state.commands.jobs.execute(id, command, &metadata).await?;
    let job = Job::from_state(&committed.aggregate.state, now).ok_or_else(|| unknown_job(id))?;
    supersede(&state, &committed.aggregate.state).await;
    Ok(Recorded(state.position_of(&committed), JsonBody(job)))
}
