//! `POST /api/projections/{name}/rebuild`

use axum::extract::State;
use axum::http::StatusCode;

use super::{begin_rebuild, known};
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::AppState;

/// Begins a rebuild, and answers 202.
pub(in crate::http) async fn rebuild(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    begin_rebuild(&state, known(&name)?);
    Ok(StatusCode::ACCEPTED)
}
