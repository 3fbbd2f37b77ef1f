//! `POST /api/jobs/{id}/cancel`: ends a queued job, and asks the holder of a running one to stop it.

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::JobId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::job::{CancelJob, JobCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, OptionalJson, Path};
use crate::http::state::AppState;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"force": false, "reason": "not needed any more"}))]
pub(in crate::http) struct Cancel {
    /// End the job after the grace even if its holder goes on.
    force: Option<bool>,
    /// Why; kept in the history of the job.
    reason: Option<String>,
}

/// Cancel a job.
///
/// A queued job ends at once. The holder of a running job is told at its next contact, and the job ends when the
/// holder reports.
#[utoipa::path(
    post, path = "/api/jobs/{id}/cancel", operation_id = "cancelJob", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")),
    request_body(content = Option<Cancel>, description = "May be left out"),
    responses(
        (status = 204, description = "The job has ended, or its holder will be told", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`job_not_found`"),
        (status = 409, description = "`already_ended`"),
    )
)]
pub(in crate::http) async fn cancel(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(job_id): Path<JobId>,
    OptionalJson(body): OptionalJson<Cancel>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let Cancel { force, reason } = body.unwrap_or_default();
    let now = state.clock.now();
    let command = JobCommand::Cancel(CancelJob {
        reason,
        force: force.unwrap_or_default(),
        grace: state.config.leases.cancel_grace,
        // Whether the holder is silent is left to the reconciler: this server knows neither of contacts with other
        // replicas, nor of those before its own start.
        last_contact: Some(now),
        now,
    });
    let committed = state.commands.jobs.execute(job_id, command, &metadata).await?;
    Ok(done(state.position_of(&committed).await?))
}
