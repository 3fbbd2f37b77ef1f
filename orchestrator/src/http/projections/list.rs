//! `GET /api/projections`

use axum::Json;
use axum::extract::State;
use rivet_projections::status::Status;

use crate::http::error::ApiError;
use crate::http::state::AppState;

pub(in crate::http) async fn list(State(state): State<AppState>) -> Result<Json<Vec<Status>>, ApiError> {
    Ok(Json(state.read_models.status(state.clock.now()).await?))
}
