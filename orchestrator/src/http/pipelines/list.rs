//! `GET /api/pipeline/list`

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use rivet_events::id::PipelineId;
use rivet_projections::pipelines::{self, PipelineFilter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::Pipeline;
use crate::http::answer::{Paging, listed};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::filter::InPeriod;
use crate::http::moment::{At, answer_at};
use crate::http::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// Only this pipeline.
    #[param(value_type = Option<Uuid>)]
    pipeline_id: Option<PipelineId>,
}

/// List pipelines, newest first.
#[utoipa::path(
    get, path = "/api/pipeline/list", operation_id = "listPipelines", tag = "Pipelines",
    params(Paging, Filter, InPeriod, At),
    responses(
        (status = 200, description = "A page of pipelines", body = [Pipeline], headers(("Link" = String))),
        (status = 422, description = "`too_much`"),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
    Query(Filter { pipeline_id }): Query<Filter>,
    Query(created): Query<InPeriod>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let (read_models, cursor, limit) = (&state.read_models, paging.cursor()?, paging.limit()?);
    let filter = PipelineFilter { pipeline_id, created: created.into() };
    let then = at.moment(&state).await?;
    let page = match then {
        Some(then) => pipelines::list_at(read_models, then.position, &filter, cursor.as_ref(), limit).await?,
        None => pipelines::list(read_models, &filter, cursor.as_ref(), limit).await?,
    };
    Ok(answer_at(then, listed(&uri, page, Pipeline::from_row)))
}
