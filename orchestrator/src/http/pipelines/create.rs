//! `POST /api/pipeline/create`

use axum::extract::State;
use rivet_events::id::PipelineId;

use super::body::Pipeline;
use super::define::{PipelineRequest, define};
use super::entity_tag::Tagged;
use super::recorded;
use crate::domain::pipeline::{CreatePipeline, PipelineCommand};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json};
use crate::http::state::AppState;

/// Create a pipeline.
///
/// With a `name` any script is accepted; without one the script must be a definition. What the request says overrides
/// what the script says.
#[utoipa::path(
    post, path = "/api/pipeline/create", operation_id = "createPipeline", tag = "Pipelines",
    request_body = PipelineRequest,
    responses(
        (status = 200, description = "The pipeline", body = Pipeline, headers(("ETag" = String), ("Rivet-Position" = u64))),
        (status = 422, description = "`invalid_definition`, `definition_limit`"),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    Client(metadata): Client,
    Json(request): Json<PipelineRequest>,
) -> Result<Recorded<Tagged>, ApiError> {
    let definition = Box::new(define(&state.evaluator, request).await?);
    let (id, now) = (PipelineId::generate(), state.clock.now());
    let create = PipelineCommand::Create(CreatePipeline { pipeline_id: id, definition, now });
    let committed = state.commands.pipelines.execute(id, create, &metadata).await?;
    recorded(&state, id, &committed).await
}
