//! `GET /api/jobs/{id}/events`

use axum::Json;
use axum::extract::State;
use rivet_events::id::JobId;
use rivet_events::{StreamId, Version};
use rivet_projections::jobs::Jobs;
use rivet_projections::projection::Projection;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::feed::EventBody;
use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::{AppState, unknown_job};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Detail {
    /// Whether each event comes with the job after it.
    #[serde(default)]
    states: bool,
}

/// The history of a job.
#[derive(ToSchema)]
#[schema(as = JobHistory)]
#[expect(dead_code, reason = "only describes the answer")]
struct History {
    /// Every event, in order.
    events: Vec<EventBody<'static>>,
}

/// Get the history of a job: every event, in order.
///
/// It needs no read model: it is the job's stream.
#[utoipa::path(
    get, path = "/api/jobs/{id}/events", operation_id = "getJobHistory", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job"), Detail),
    responses(
        (status = 200, description = "Its events", body = History),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(in crate::http) async fn history(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
    Query(detail): Query<Detail>,
) -> Result<Json<Value>, ApiError> {
    let envelopes = state.commands.log().read_stream(&StreamId::job(id), Version::default()).await?;
    if envelopes.is_empty() {
        return Err(unknown_job(id));
    }
    let mut row = None;
    let mut events = Vec::with_capacity(envelopes.len());
    for envelope in &envelopes {
        let mut event = json!(EventBody::from(&**envelope));
        if detail.states {
            row = Jobs::apply(row, envelope);
            event["state"] = json!(row.clone().map(|row| Job::from_row(row, envelope.recorded_at)));
        }
        events.push(event);
    }
    Ok(Json(json!({"events": events})))
}
