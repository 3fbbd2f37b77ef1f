//! `GET /api/jobs/{id}/events`

use axum::Json;
use axum::extract::State;
use rivet_events::id::JobId;
use rivet_events::{StreamId, Version};
use serde_json::{Value, json};

use crate::feed::EventBody;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::{AppState, unknown_job};

/// Every event of a job, in order: it needs no read model, it is the job's stream.
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
