//! `GET /api/jobs/{id}/events`

use axum::Json;
use axum::extract::State;
use rivet_events::id::JobId;
use rivet_events::{StreamId, Version};
use rivet_projections::jobs::Jobs;
use rivet_projections::projection::Projection;
use serde::{Deserialize, Serialize};
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
#[schema(as = JobHistory, example = json!({
    "events": [{
        "position": 3,
        "event_id": "01a21390-e111-7000-8000-0123456789ac",
        "type": "job.cancel_requested",
        "version": 1,
        "stream_type": "job",
        "stream_id": "01a21390-df33-760a-b038-1135a443c6dd",
        "sequence": 3,
        "recorded_at": "2026-01-31T12:00:00Z",
        "payload": {
            "type": "job.cancel_requested",
            "job_id": "01a21390-df33-760a-b038-1135a443c6dd",
            "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
            "runner_id": "build-1",
            "reason": "wrong branch",
            "force": false,
            "requested_at": "2026-01-31T12:00:00Z",
        },
        "metadata": {"actor": "client", "request_id": "752fbe84-0f88-4908-82b6-4a738be65607"},
    }],
}))]
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
        let mut event = value(EventBody::from(&**envelope))?;
        if detail.states {
            row = Jobs::apply(row, envelope);
            event["state"] = value(row.clone().map(|row| Job::from_row(row, envelope.recorded_at)))?;
        }
        events.push(event);
    }
    Ok(Json(json!({"events": events})))
}

/// What was stored may be no JSON of today's.
fn value(body: impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(body).map_err(|error| ApiError::internal(&error))
}
