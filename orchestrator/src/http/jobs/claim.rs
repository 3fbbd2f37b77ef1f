//! `POST /api/jobs/{id}/claim` (dialect A), `POST /api/jobs/execute/{id}` (dialect B): claims a job by its id.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::HeaderMap;
use rivet_events::id::{JobId, LeaseId, RunnerId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::JobExecutionInfo;
use super::claiming::{self, Claim};
use crate::http::answer::Recorded;
use crate::http::contact::Contact;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json, Path, request_key};
use crate::http::header::REQUEST_KEY;
use crate::http::metadata::by_runner;
use crate::http::state::{AppState, unknown_job};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"runner_id": "build-1", "fencing": true}))]
pub(in crate::http) struct ClaimRequest {
    /// The runner that claims.
    runner_id: RunnerId,
    /// Whether this client fences: it sends its lease with every report.
    fencing: Option<bool>,
}

/// Claim a job for a runner.
#[utoipa::path(
    post, path = "/api/jobs/{id}/claim", operation_id = "claimJob", tag = "Runners",
    params(("id" = Uuid, Path, description = "The job"), ("Rivet-Request-Key" = String, Header, min_length = 1, max_length = 255)),
    request_body = ClaimRequest,
    responses(
        (status = 200, description = "What it takes to run the job", body = JobExecutionInfo, headers(("Rivet-Position" = u64))),
        (status = 404, description = "`job_not_found`"),
        (status = 409, description = "`already_claimed`, `capability_missing`, `needs_fencing`, `not_due`, `concurrency_limit`, `lease_lost`"),
    )
)]
pub(in crate::http) async fn claim(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    Json(body): Json<ClaimRequest>,
) -> Result<Recorded<JsonBody<JobExecutionInfo>>, ApiError> {
    let metadata = by_runner(metadata, &body.runner_id);
    let key = request_key(&headers, &REQUEST_KEY)?;
    // A job that does not exist is claimed by nobody, so this must not register a runner.
    if state.commands.jobs.load(job_id).await.is_ok_and(|job| job.state.launch().is_none()) {
        return Err(unknown_job(job_id));
    }
    state.note_contact(Contact::Work, &body.runner_id, &metadata).await?;
    let claim = Claim {
        job_id,
        runner_id: body.runner_id,
        lease_id: LeaseId::generate(),
        fencing: body.fencing.unwrap_or_default(),
        request_key: key,
        metadata,
    };
    let Recorded(position, info) = claiming::claim(&state, &claim, &[]).await?;
    Ok(Recorded(position, JsonBody(info)))
}
