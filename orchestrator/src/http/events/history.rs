//! `GET /api/jobs/{id}/events`

use axum::Json;
use axum::extract::State;
use rivet_events::id::JobId;
use rivet_events::{StreamId, Version};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::envelope::EventBody;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::{AppState, unknown_job};

/// The history of a job.
#[derive(ToSchema)]
#[schema(as = JobHistory)]
#[expect(dead_code, reason = "only describes the answer")]
struct History {
    /// Every event, in order.
    events: Vec<EventBody<'static>>,
}

/// Get the history of a job: every event, in order.
#[utoipa::path(
    get, path = "/api/jobs/{id}/events", operation_id = "getJobHistory", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "Its events", body = History),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(in crate::http) async fn history(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
) -> Result<Json<Value>, ApiError> {
    let envelopes = state.commands.log().read_stream(&StreamId::job(id), Version::default()).await?;
    if envelopes.is_empty() {
        return Err(unknown_job(id));
    }
    let events: Vec<Value> = envelopes.iter().map(|envelope| json!(EventBody::from(&**envelope))).collect();
    Ok(Json(json!({"events": events})))
}
