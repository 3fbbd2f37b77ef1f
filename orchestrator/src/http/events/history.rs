//! `GET /api/jobs/{id}/events`

use axum::Json;
use axum::extract::State;
use rivet_events::id::JobId;
use rivet_events::{StreamId, Version};
use rivet_projections::jobs::Jobs;
use rivet_projections::projection::Projection;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::feed::EventBody;
use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::{AppState, unknown_job};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Detail {
    /// Whether each event comes with the job after it.
    #[serde(default)]
    states: bool,
}

/// Every event of a job, in order: it needs no read model, it is the job's stream.
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
