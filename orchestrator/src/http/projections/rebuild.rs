//! `POST /api/projections/{name}/rebuild`

use axum::extract::State;
use axum::http::StatusCode;

use super::{begin_rebuild, known};
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::AppState;

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
    begin_rebuild(&state, known(&name)?).await?;
    Ok(StatusCode::ACCEPTED)
}
