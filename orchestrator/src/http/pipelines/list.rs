//! `GET /api/pipeline/list`

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use rivet_projections::pipelines;

use crate::http::answer::{Paging, listed};
use crate::http::body::Pipeline;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::state::AppState;

/// List pipelines, newest first.
#[utoipa::path(
    get, path = "/api/pipeline/list", operation_id = "listPipelines", tag = "Pipelines",
    params(Paging),
    responses((status = 200, description = "A page of them", body = [Pipeline], headers(("Link" = String))))
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
) -> Result<Response, ApiError> {
    let cursor = paging.cursor()?;
    let page = pipelines::list(&state.read_models, cursor.as_ref(), paging.limit()?).await?;
    Ok(listed(&uri, page, Pipeline::from_row))
}
