//! `POST /api/pipeline/check`

use axum::Json as JsonBody;
use axum::extract::State;
use rivet_events::pipeline::PipelineDefinition;

use super::define::{PipelineRequest, define};
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::state::AppState;

/// Check what would be recorded of a pipeline.
///
/// It answers, or refuses, as creating the pipeline would, and records nothing.
#[utoipa::path(
    post, path = "/api/pipeline/check", operation_id = "checkPipeline", tag = "Pipelines",
    request_body = PipelineRequest,
    responses(
        (status = 200, description = "The definition", body = PipelineDefinition, example = json!({
            "name": "hello",
            "description": null,
            "script": "return { name = 'hello', stages = { { name = 'greet', script = function() log.info('Hello') end } } }",
            "tags": [],
            "required_modules": [],
            "demands": [],
            "inputs": {},
            "config": {"timeout_seconds": null, "max_retries": 0, "env_vars": {}},
        })),
        (status = 422, description = "`invalid_definition`, `definition_limit`"),
        (status = 503, description = "`overloaded`"),
    )
)]
pub(in crate::http) async fn check(
    State(state): State<AppState>,
    Json(request): Json<PipelineRequest>,
) -> Result<JsonBody<PipelineDefinition>, ApiError> {
    Ok(JsonBody(define(&state.evaluator, request).await?))
}
