//! `GET /api/jobs/{id}`

use axum::Json;
use axum::extract::State;
use rivet_events::id::JobId;
use rivet_projections::jobs;

use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::{AppState, unknown_job};

pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
) -> Result<Json<Job>, ApiError> {
    let row = jobs::find(&state.read_models, id).await?.ok_or_else(|| unknown_job(id))?;
    Ok(Json(Job::from_row(row, state.clock.now())))
}
