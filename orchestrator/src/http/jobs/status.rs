//! `PUT /api/jobs/{id}/status`: starts an attempt, or ends it without a result.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rivet_events::id::JobId;
use rivet_events::job::JobStatus;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;

use super::complete::{before_report, finish};
use crate::domain::job::{JobCommand, JobState, Report, StartJob};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json, Path, header_value};
use crate::http::header::LEASE;
use crate::http::metadata::by_holder;
use crate::http::openapi::one_of;
use crate::http::state::AppState;

/// The schema of what can be reported: every status but `Queued`.
fn reported() -> Schema {
    one_of([JobStatus::Running].into_iter().chain(JobStatus::TERMINAL).map(JobStatus::as_str))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"status": "Running"}))]
pub(in crate::http) struct SetStatus {
    /// `Running`, or a terminal status.
    #[schema(schema_with = reported)]
    status: JobStatus,
}

/// Report the status of an attempt.
///
/// `Running` marks its start; a terminal status ends it, like `complete` without a result.
#[utoipa::path(
    put, path = "/api/jobs/{id}/status", operation_id = "setJobStatus", tag = "Runners",
    params(("id" = Uuid, Path, description = "The job"), ("Rivet-Lease" = Uuid, Header)),
    request_body = SetStatus,
    responses(
        (status = 204, description = "Recorded", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`job_not_found`"),
        (status = 409, description = "`not_running`, `lease_lost`, `already_ended`, `already_completed`"),
        (status = 422, description = "`invalid_status`"),
    )
)]
pub(in crate::http) async fn set_status(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    Json(body): Json<SetStatus>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let lease = header_value(&headers, &LEASE)?;
    match body.status {
        JobStatus::Running => {
            let now = state.clock.now();
            let before = before_report(&state, job_id, lease).await?;
            let by = |job: &JobState| by_holder(&metadata, job, lease);
            let command = JobCommand::Start(StartJob { lease, now });
            match state.commands.jobs.execute_by(job_id, command, by).await {
                Ok(committed) => {
                    state.note_holder(&committed.state, &by(&committed.state)).await;
                    Ok(done(state.position_of(&committed).await?))
                }
                Err(error) => {
                    state.hear_holder(&before, lease).await;
                    Err(error.into())
                }
            }
        }
        // The job refuses `Queued`.
        JobStatus::Queued
        | JobStatus::Succeeded
        | JobStatus::Failed
        | JobStatus::Cancelled
        | JobStatus::TimedOut => {
            let report = Report { status: body.status, result: None };
            finish(&state, job_id, lease, report, metadata).await
        }
    }
}
