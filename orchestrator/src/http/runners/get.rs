//! `GET /api/runners/{id}`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use rivet_events::id::RunnerId;
use rivet_projections::runners;

use super::body::Runner;
use super::{runner_id, unknown_runner};
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::moment::{At, answer_at};
use crate::http::state::AppState;

/// Get a runner.
#[utoipa::path(
    get, path = "/api/runners/{id}", operation_id = "getRunner", tag = "Runners",
    params(("id" = RunnerId, Path, description = "The runner; slashes may stay as they are"), At),
    responses(
        (status = 200, description = "The runner", body = Runner),
        (status = 400, description = "`invalid_path`"),
        (status = 404, description = "`runner_not_found`"),
        (status = 422, description = "`too_much`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let runner_id = runner_id(&id)?;
    if let Some(then) = at.moment(&state).await? {
        let row = runners::find_at(&state.read_models, &runner_id, then.position).await?;
        let runner = Runner::from_row(row.ok_or_else(|| unknown_runner(&runner_id))?, None);
        return Ok(answer_at(Some(then), Json(runner)));
    }
    let row = runners::find(&state.read_models, &runner_id).await?;
    let row = row.ok_or_else(|| unknown_runner(&runner_id))?;
    Ok(Json(Runner::from_row(row, state.liveness.last_contact(&runner_id))).into_response())
}
