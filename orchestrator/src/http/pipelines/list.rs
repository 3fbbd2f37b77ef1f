//! `GET /api/pipeline/list`

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use rivet_projections::pipelines;

use crate::http::answer::{Paging, listed};
use crate::http::body::Pipeline;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::moment::{At, answer_at};
use crate::http::state::AppState;

/// List pipelines, newest first.
#[utoipa::path(
    get, path = "/api/pipeline/list", operation_id = "listPipelines", tag = "Pipelines",
    params(Paging, At),
    responses(
        (status = 200, description = "A page of pipelines", body = [Pipeline], headers(("Link" = String))),
        (status = 422, description = "`too_much`"),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let (read_models, cursor, limit) = (&state.read_models, paging.cursor()?, paging.limit()?);
    let then = at.moment(&state).await?;
    let page = match then {
        Some(then) => pipelines::list_at(read_models, then.position, cursor.as_ref(), limit).await?,
        None => pipelines::list(read_models, cursor.as_ref(), limit).await?,
    };
    Ok(answer_at(then, listed(&uri, page, Pipeline::from_row)))
}
