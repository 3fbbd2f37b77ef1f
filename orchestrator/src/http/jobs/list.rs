//! `GET /api/jobs`, `GET /api/jobs/pipeline/{id}`

use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, Utc};
use rivet_events::id::{PipelineId, RunnerId};
use rivet_events::job::JobStatus;
use rivet_projections::jobs::{self, JobFilter};
use rivet_projections::pipelines;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::http::answer::{Paging, listed};
use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::{AppState, unknown_pipeline};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// One state, or several with commas between them.
    #[serde(default, deserialize_with = "statuses")]
    #[param(style = Form, explode = false)]
    status: Vec<JobStatus>,
    /// Of this pipeline.
    #[param(value_type = Option<Uuid>)]
    pipeline_id: Option<PipelineId>,
    /// Held by this runner, or last held by it.
    runner_id: Option<RunnerId>,
    /// Requested at this time or later.
    since: Option<DateTime<Utc>>,
    /// Requested before this time.
    until: Option<DateTime<Utc>>,
}

/// List jobs, newest first.
#[utoipa::path(
    get, path = "/api/jobs", operation_id = "listJobs", tag = "Jobs",
    params(Paging, Filter),
    responses((status = 200, description = "A page of them", body = [Job], headers(("Link" = String))))
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, ApiError> {
    answer(&state, &uri, &paging, filter).await
}

/// List the jobs of a pipeline, newest first.
///
/// The jobs of a deleted pipeline stay readable; those of one that never was are unknown.
#[utoipa::path(
    get, path = "/api/jobs/pipeline/{id}", operation_id = "listJobsOfPipeline", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The pipeline"), Paging, Filter),
    responses(
        (status = 200, description = "A page of them", body = [Job], headers(("Link" = String))),
        (status = 404, description = "`pipeline_not_found`"),
    )
)]
pub(in crate::http) async fn list_of_pipeline(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<PipelineId>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Result<Response, ApiError> {
    if pipelines::find(&state.read_models, id).await?.is_none() {
        return Err(unknown_pipeline(id));
    }
    answer(&state, &uri, &paging, Filter { pipeline_id: Some(id), ..filter }).await
}

async fn answer(state: &AppState, uri: &Uri, paging: &Paging, filter: Filter) -> Result<Response, ApiError> {
    let filter = JobFilter {
        status: filter.status,
        pipeline_id: filter.pipeline_id,
        runner_id: filter.runner_id,
        since: filter.since,
        until: filter.until,
    };
    let cursor = paging.cursor()?;
    let page = jobs::list(&state.read_models, &filter, cursor.as_ref(), paging.limit()?).await?;
    let now = state.clock.now();
    Ok(listed(uri, page, |row| Job::from_row(row, now)))
}

fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JobStatus>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let word = |word: &str| {
        let word: StrDeserializer<'_, ValueError> = word.into_deserializer();
        JobStatus::deserialize(word).map_err(serde::de::Error::custom)
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(word).collect()
}
