//! `PUT /api/pipeline/{id}`

use axum::extract::State;
use rivet_events::id::PipelineId;

use super::body::Pipeline;
use super::define::{PipelineRequest, define};
use super::entity_tag::{IfMatch, Tagged};
use super::recorded;
use crate::domain::pipeline::{PipelineCommand, RevisePipeline};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json, Path};
use crate::http::state::AppState;

/// Revise a pipeline: record its next version.
///
/// Jobs that were launched before keep theirs. Members that are left out are not taken over from the version before,
/// and a request that changes nothing records no version. With `If-Match` it is refused unless the
/// current version is one of those.
#[utoipa::path(
    put, path = "/api/pipeline/{id}", operation_id = "revisePipeline", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline"), IfMatch),
    request_body = PipelineRequest,
    responses(
        (status = 200, description = "The pipeline", body = Pipeline, headers(("ETag" = String), ("Rivet-Position" = u64))),
        (status = 400, description = "`invalid_header`"),
        (status = 404, description = "`pipeline_not_found`"),
        (status = 412, description = "`version_changed`"),
        (status = 422, description = "`invalid_definition`, `definition_limit`"),
    )
)]
pub(in crate::http) async fn revise(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<PipelineId>,
    IfMatch(expected): IfMatch,
    Json(request): Json<PipelineRequest>,
) -> Result<Recorded<Tagged>, ApiError> {
    let definition = Box::new(define(&state.evaluator, request).await?);
    let revise = PipelineCommand::Revise(RevisePipeline { definition, expected, now: state.clock.now() });
    let committed = state.commands.pipelines.execute(id, revise, &metadata).await?;
    recorded(&state, id, &committed).await
}
