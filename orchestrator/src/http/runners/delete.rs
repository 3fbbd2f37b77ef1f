//! `DELETE /api/runners/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::RunnerId;

use super::runner_id;
use crate::domain::runner::{RemoveRunner, RunnerCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path};
use crate::http::state::AppState;

/// Remove a runner from the list.
///
/// If it makes contact again, it is registered again, with the capabilities that it had.
#[utoipa::path(
    delete, path = "/api/runners/{id}", operation_id = "deleteRunner", tag = "Runners",
    params(("id" = RunnerId, Path, description = "The runner; slashes may stay as they are")),
    responses(
        (status = 204, description = "The runner is removed", headers(("Rivet-Position" = u64))),
        (status = 400, description = "`invalid_path`"),
        (status = 404, description = "`runner_not_found`"),
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<String>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let runner_id = runner_id(&id)?;
    let command = RunnerCommand::Remove(RemoveRunner { now: state.clock.now() });
    let committed = state.commands.runners.execute(&runner_id, command, &metadata).await?;
    state.liveness.unrecorded(&runner_id, committed.version);
    Ok(done(state.position_of(&committed).await?))
}
