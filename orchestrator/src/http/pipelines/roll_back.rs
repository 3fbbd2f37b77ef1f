//! `POST /api/pipeline/{id}/rollback`

use axum::extract::State;
use rivet_events::id::PipelineId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Pipeline;
use super::entity_tag::{IfMatch, Tagged};
use super::recorded;
use crate::domain::pipeline::{PipelineCommand, RollBackPipeline};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json, Path};
use crate::http::state::AppState;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"version": 1}))]
pub(in crate::http) struct RollBack {
    /// The version to bring back.
    version: u32,
}

/// Roll a pipeline back: record what an earlier version was as the next version.
///
/// The script is not read again, but taken as it was stored. A rollback to what is current already records no
/// version. With `If-Match` it is refused unless the current version is one of those.
#[utoipa::path(
    post, path = "/api/pipeline/{id}/rollback", operation_id = "rollBackPipeline", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline"), IfMatch),
    request_body = RollBack,
    responses(
        (status = 200, description = "The pipeline", body = Pipeline, headers(("ETag" = String), ("Rivet-Position" = u64))),
        (status = 400, description = "`invalid_header`"),
        (status = 404, description = "`pipeline_not_found`, `version_not_found`"),
        (status = 412, description = "`version_changed`"),
    )
)]
pub(in crate::http) async fn roll_back(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<PipelineId>,
    IfMatch(expected): IfMatch,
    Json(RollBack { version }): Json<RollBack>,
) -> Result<Recorded<Tagged>, ApiError> {
    let restored = state.commands.recorded_version(id, version).await?;
    let definition = restored.map(|restored| Box::new(restored.definition));
    let roll_back = RollBackPipeline { version, definition, expected, now: state.clock.now() };
    let roll_back = PipelineCommand::RollBack(roll_back);
    let committed = state.commands.pipelines.execute(id, roll_back, &metadata).await?;
    recorded(&state, id, &committed).await
}
