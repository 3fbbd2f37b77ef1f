//! `DELETE /api/pipeline/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::PipelineId;

use super::entity_tag::IfMatch;
use crate::cancelling::cancel_waiting;
use crate::domain::pipeline::{DeletePipeline, PipelineCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path};
use crate::http::state::AppState;
use crate::telemetry::chain;

/// Delete a pipeline.
///
/// Its waiting jobs are cancelled, running ones go on, and all stay readable. With `If-Match` it is refused unless the
/// current version is one of those.
#[utoipa::path(
    delete, path = "/api/pipeline/{id}", operation_id = "deletePipeline", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline"), IfMatch),
    responses(
        (status = 204, description = "The pipeline is deleted, and takes no more launches", headers(("Rivet-Position" = u64))),
        (status = 400, description = "`invalid_header`"),
        (status = 404, description = "`pipeline_not_found`"),
        (status = 412, description = "`version_changed`"),
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<PipelineId>,
    IfMatch(expected): IfMatch,
) -> Result<Recorded<StatusCode>, ApiError> {
    let command = PipelineCommand::Delete(DeletePipeline { expected, now: state.clock.now() });
    let committed = state.commands.pipelines.execute(id, command, &metadata).await?;
    state.read_models.wait_for(state.commands.acknowledged(), state.config.load.read_wait).await;
    let now = state.clock.now();
    if let Err(error) = cancel_waiting(&state.commands, &state.read_models, id, now).await {
        tracing::warn!(pipeline.id = %id, error = %chain(&error), "waiting jobs are cancelled later");
    }
    Ok(done(state.position_of(&committed).await?))
}
