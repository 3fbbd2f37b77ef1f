//! `DELETE /api/pipeline/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::PipelineId;

use crate::cancelling::cancel_waiting;
use crate::domain::pipeline::{DeletePipeline, PipelineCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path};
use crate::http::state::AppState;
use crate::telemetry::chain;

/// Delete a pipeline.
///
/// Its waiting jobs are cancelled, running ones go on, and all stay readable.
#[utoipa::path(
    delete, path = "/api/pipeline/{id}", operation_id = "deletePipeline", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline")),
    responses(
        (status = 204, description = "The pipeline is deleted, and takes no more launches", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`pipeline_not_found`"),
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<PipelineId>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let command = PipelineCommand::Delete(DeletePipeline { now: state.clock.now() });
    let committed = state.commands.pipelines.execute(id, command, &metadata).await?;
    state.read_models.wait_for(state.commands.acknowledged(), state.config.load.read_wait).await;
    let now = state.clock.now();
    if let Err(error) = cancel_waiting(&state.commands, &state.read_models, id, now).await {
        tracing::warn!(pipeline.id = %id, error = %chain(&error), "waiting jobs are cancelled later");
    }
    Ok(done(state.position_of(&committed).await?))
}
