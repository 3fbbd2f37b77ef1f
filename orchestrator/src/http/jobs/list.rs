//! `GET /api/jobs`, `GET /api/jobs/pipeline/{id}`: pages of jobs, by filter or search, now or at a moment of the
//! past.

use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::response::Response;
use percent_encoding::percent_decode_str;
use rivet_events::CLOCKS_DIFFER;
use rivet_events::id::{PipelineId, RunnerId};
use rivet_events::job::JobStatus;
use rivet_projections::jobs::{self, Job, JobFilter};
use rivet_projections::{Cursor, Page, Period, ReadModels, pipelines};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::Job as JobBody;
use crate::http::answer::{Paging, listed};
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::filter::{InPeriod, words};
use crate::http::moment::{At, Moment, answer_at};
use crate::http::state::{AppState, unknown_pipeline};

/// Longest text that is searched for, in bytes: longer than any name of a runner.
const MAX_SEARCH: usize = 255;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// Only jobs in this state, or in one of several with commas between them.
    #[serde(default, deserialize_with = "words")]
    #[param(style = Form, explode = false)]
    status: Vec<JobStatus>,
    /// A text that the id begins or ends with (at least eight characters), or that is part of the name of the
    /// pipeline or of the runner.
    #[param(min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    search: Option<String>,
    /// Only jobs that this runner holds, or held when they ended.
    runner_id: Option<RunnerId>,
}

impl Filter {
    /// The text that is searched for, and the filter with what else the request says.
    fn of(self, pipeline_id: Option<PipelineId>, launched: Period) -> (Option<String>, JobFilter) {
        let Self { status, search, runner_id } = self;
        (search, JobFilter { status, pipeline_id, runner_id, launched })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct OfPipeline {
    /// Only jobs of this pipeline.
    #[param(value_type = Option<Uuid>)]
    pipeline_id: Option<PipelineId>,
}

/// List jobs, newest first.
///
/// A search looks through ids, and through the names of the pipelines and runners that exist. It is as fast in a long
/// history as in a short one.
#[utoipa::path(
    get, path = "/api/jobs", operation_id = "listJobs", tag = "Jobs",
    params(Paging, OfPipeline, Filter, InPeriod, At),
    responses(
        (status = 200, description = "A page of jobs", body = [JobBody], headers(("Link" = String))),
        (status = 422, description = "`search_too_wide`"),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
    Query(OfPipeline { pipeline_id }): Query<OfPipeline>,
    Query(filter): Query<Filter>,
    Query(launched): Query<InPeriod>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let (search, filter) = filter.of(pipeline_id, launched.into());
    answer(&state, &uri, &paging, search, &filter, at.moment(&state).await?).await
}

/// List the jobs of a pipeline, newest first.
///
/// The jobs of a deleted pipeline stay readable; a pipeline that never existed is not found.
#[utoipa::path(
    get, path = "/api/jobs/pipeline/{id}", operation_id = "listJobsOfPipeline", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The pipeline"), Paging, Filter, InPeriod, At),
    responses(
        (status = 200, description = "A page of jobs", body = [JobBody], headers(("Link" = String))),
        (status = 404, description = "`pipeline_not_found`"),
        (status = 422, description = "`search_too_wide`"),
    )
)]
pub(in crate::http) async fn list_of_pipeline(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<PipelineId>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
    Query(launched): Query<InPeriod>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let then = at.moment(&state).await?;
    let pipeline = match then {
        Some(then) => pipelines::find_at(&state.read_models, id, then.position).await?,
        None => pipelines::find(&state.read_models, id).await?,
    };
    if pipeline.is_none() {
        return Err(unknown_pipeline(id));
    }
    let (search, filter) = filter.of(Some(id), launched.into());
    answer(&state, &uri, &paging, search, &filter, then).await
}

async fn answer(
    state: &AppState,
    uri: &Uri,
    paging: &Paging,
    search: Option<String>,
    filter: &JobFilter,
    then: Option<Moment>,
) -> Result<Response, ApiError> {
    let (cursor, limit) = (paging.cursor()?, paging.limit()?);
    if let Some(then) = then {
        if search.is_some() {
            return Err(ApiError::malformed("invalid_query", "search: is not possible together with at"));
        }
        let page = page_at(&state.read_models, filter, cursor.as_ref(), limit, then).await?;
        return Ok(answer_at(Some(then), listed(uri, page, |row| JobBody::from_row(row, then.time))));
    }
    let page = match search {
        None => jobs::list(&state.read_models, filter, cursor.as_ref(), limit).await?,
        Some(text) => {
            check_search(uri, &text)?;
            jobs::search(&state.read_models, filter, &text, cursor.as_ref(), limit).await?
        }
    };
    let now = state.clock.now();
    Ok(listed(uri, page, |row| JobBody::from_row(row, now)))
}

fn check_search(uri: &Uri, text: &str) -> Result<(), ApiError> {
    // What is no UTF-8 was replaced when the query was read, and would find nothing.
    let is_utf8 = percent_decode_str(uri.query().unwrap_or_default()).decode_utf8().is_ok();
    if !is_utf8 || text.is_empty() || text.len() > MAX_SEARCH || text.contains(char::is_control) {
        let detail = format!("search: must be 1 to {MAX_SEARCH} bytes of UTF-8 without control characters");
        return Err(ApiError::malformed("invalid_query", detail));
    }
    Ok(())
}

/// A page of the jobs that had been launched by then, as they were then. It has fewer rows than asked for where some
/// of them did not pass the filter at that time.
async fn page_at(
    read_models: &ReadModels,
    filter: &JobFilter,
    after: Option<&Cursor>,
    limit: usize,
    then: Moment,
) -> Result<Page<Job>, ApiError> {
    let newest = then.time + CLOCKS_DIFFER;
    // The query filters by what never changes; status and runner are compared in the rows of that time.
    let launched = JobFilter {
        status: vec![],
        runner_id: None,
        launched: filter.launched.and(Period { since: None, until: Some(newest) }),
        ..filter.clone()
    };
    let Page { items, next } = jobs::list(read_models, &launched, after, limit).await?;
    let ids = items.iter().map(|row| row.id).collect();
    let rows = jobs::each_at(read_models, ids, then.position).await?;
    let meets = |row: &Job| {
        (filter.status.is_empty() || filter.status.contains(&row.status))
            && filter.runner_id.as_ref().is_none_or(|runner_id| row.runner_id.as_ref() == Some(runner_id))
    };
    Ok(Page { items: rows.into_iter().flatten().filter(meets).collect(), next })
}
