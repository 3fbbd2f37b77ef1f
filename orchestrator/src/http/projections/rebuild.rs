//! `POST /api/projections/{name}/rebuild`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_projections::ReadModels;

use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::AppState;
use crate::telemetry::chain;

/// Build a read model anew from the log.
///
/// It is built beside the live one; `GET /api/projections` shows how far it is.
#[utoipa::path(
    post, path = "/api/projections/{name}/rebuild", operation_id = "rebuildProjection", tag = "Operations",
    params(("name" = String, Path, description = "The read model")),
    responses(
        (status = 202, description = "It has begun"),
        (status = 404, description = "`projection_not_found`"),
    )
)]
pub(in crate::http) async fn rebuild(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let Some(name) = ReadModels::names().find(|known| *known == name) else {
        return Err(ApiError::not_found("projection_not_found", format!("there is no projection {name:?}")));
    };
    let read_models = state.read_models.clone();
    state.tasks.spawn(async move {
        match read_models.rebuild(&[name], |_| ()).await {
            Ok(()) => tracing::info!(projection.name = name, "rebuilt"),
            Err(error) => tracing::warn!(projection.name = name, error = %chain(&error), "not rebuilt"),
        }
    });
    Ok(StatusCode::ACCEPTED)
}
