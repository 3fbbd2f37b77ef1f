//! `GET /api/pipeline/{id}`

use axum::extract::State;
use axum::response::Response;
use rivet_events::id::PipelineId;
use rivet_projections::pipelines;

use super::body::Pipeline;
use super::entity_tag::Tagged;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::moment::{At, answer_at};
use crate::http::state::{AppState, unknown_pipeline};

/// Get a pipeline.
#[utoipa::path(
    get, path = "/api/pipeline/{id}", operation_id = "getPipeline", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline"), At),
    responses(
        (status = 200, description = "The pipeline", body = Pipeline, headers(("ETag" = String))),
        (status = 404, description = "`pipeline_not_found`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path(id): Path<PipelineId>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let then = at.moment(&state).await?;
    let row = match then {
        Some(then) => pipelines::find_at(&state.read_models, id, then.position).await?,
        None => pipelines::find(&state.read_models, id).await?,
    };
    let row = row.filter(|row| row.deleted_at.is_none()).ok_or_else(|| unknown_pipeline(id))?;
    Ok(answer_at(then, Tagged(Pipeline::from_row(row))))
}
