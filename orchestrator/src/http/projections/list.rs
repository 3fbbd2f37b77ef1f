//! `GET /api/projections`

use axum::Json;
use axum::extract::State;
use rivet_projections::status::Status;

use crate::http::error::ApiError;
use crate::http::state::AppState;

/// List the read models, and how far each is.
///
/// During a rebuild, a name is listed twice: `live` and `rebuilding`.
#[utoipa::path(
    get, path = "/api/projections", operation_id = "listProjections", tag = "Operations",
    responses((status = 200, description = "The read models", body = [Status]))
)]
pub(in crate::http) async fn list(State(state): State<AppState>) -> Result<Json<Vec<Status>>, ApiError> {
    Ok(Json(state.read_models.status(state.clock.now()).await?))
}
