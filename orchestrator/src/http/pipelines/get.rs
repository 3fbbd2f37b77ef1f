//! `GET /api/pipeline/{id}`

use axum::Json;
use axum::extract::State;
use rivet_events::id::PipelineId;
use rivet_projections::pipelines;

use crate::http::body::Pipeline;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::{AppState, unknown_pipeline};

/// Get a pipeline.
#[utoipa::path(
    get, path = "/api/pipeline/{id}", operation_id = "getPipeline", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline")),
    responses(
        (status = 200, description = "The pipeline", body = Pipeline),
        (status = 404, description = "`pipeline_not_found`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path(id): Path<PipelineId>,
) -> Result<Json<Pipeline>, ApiError> {
    let row = pipelines::find(&state.read_models, id).await?.filter(|row| row.deleted_at.is_none());
    Ok(Json(Pipeline::from_row(row.ok_or_else(|| unknown_pipeline(id))?)))
}
