//! `GET /api/pipeline/{id}/versions`, `GET /api/pipeline/{id}/versions/{version}`: the versions of a pipeline, read
//! from its stream and not from a read model.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::PipelineId;
use rivet_events::pipeline::PipelineDefinition;
use rivet_projections::Room;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::history::History;
use crate::commands::RecordedVersion;
use crate::http::answer::{limit, next_link};
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::AppState;

/// Versions of one answer where the client does not say: each has its whole script.
const DEFAULT_LIMIT: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Range {
    /// Most versions; 100 where absent. There are fewer where they would be larger than 8 MiB together.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only versions older than this.
    #[param(maximum = 4_294_967_295_u32)]
    before: Option<u32>,
}

/// A version in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineVersionSummary, example = json!({
    "version": 2,
    "name": "hello",
    "script": "log.info('Hello')",
    "created_at": "2026-01-31T12:00:00Z",
    "actor": null,
    "current": true,
    "restores": null,
}))]
struct Summary<'a> {
    /// 1, 2, …
    version: u32,
    name: &'a str,
    script: &'a str,
    created_at: DateTime<Utc>,
    /// Who made it, as far as that is known.
    actor: Option<&'a str>,
    /// Whether it is what a launch would run.
    current: bool,
    /// The version that it brought back, where it was a rollback.
    restores: Option<u32>,
}

/// A version with all its settings, and the event that recorded it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineVersion)]
struct Detail<'a> {
    pipeline_id: PipelineId,
    /// 1, 2, …
    version: u32,
    created_at: DateTime<Utc>,
    /// Who made it, as far as that is known.
    actor: Option<&'a str>,
    /// The id of the request that made it.
    request_id: Option<&'a str>,
    /// The position of the event that recorded it.
    position: Position,
    /// Whether it is what a launch would run.
    current: bool,
    /// The version that it brought back, where it was a rollback.
    restores: Option<u32>,
    #[serde(flatten)]
    definition: &'a PipelineDefinition,
}

/// List the versions of a pipeline, newest first.
///
/// Those of a deleted pipeline stay readable, as its jobs do.
#[utoipa::path(
    get, path = "/api/pipeline/{id}/versions", operation_id = "listPipelineVersions", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline"), Range),
    responses(
        (status = 200, description = "A page of versions", body = [Summary<'static>], headers(("Link" = String))),
        (status = 404, description = "`pipeline_not_found`"),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<PipelineId>,
    Query(range): Query<Range>,
) -> Result<Response, ApiError> {
    let limit = limit(range.limit, DEFAULT_LIMIT)?;
    let history = History::of(&state.commands, id).await?;
    let until = range.before.map_or(history.newest, |before| before.saturating_sub(1));
    let mut room = Room::default();
    let page = history.page(until, limit, |version| room.takes(&Summary::of(&history, version))).await?;
    let oldest = page.last().map(|oldest| oldest.number).filter(|oldest| *oldest > 1);
    let link = oldest.and_then(|oldest| next_link(&uri, "before", &oldest));
    let page: Vec<_> = page.iter().map(|version| Summary::of(&history, version)).collect();
    let mut response = Json(page).into_response();
    response.headers_mut().extend(link.map(|link| (header::LINK, link)));
    Ok(response)
}

/// Get a version of a pipeline, with all its settings.
#[utoipa::path(
    get, path = "/api/pipeline/{id}/versions/{version}", operation_id = "getPipelineVersion", tag = "Pipelines",
    params(
        ("id" = Uuid, Path, description = "The pipeline"),
        ("version" = u32, Path, description = "The number of the version"),
    ),
    responses(
        (status = 200, description = "The version", body = Detail<'static>, example = json!({
            "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
            "version": 2,
            "created_at": "2026-01-31T12:00:00Z",
            "actor": null,
            "request_id": "752fbe84-0f88-4908-82b6-4a738be65607",
            "position": 7,
            "current": true,
            "restores": null,
            "name": "hello",
            "description": null,
            "script": "log.info('Hello')",
            "tags": [],
            "required_modules": ["log"],
            "demands": ["log"],
            "inputs": {},
            "config": {"timeout_seconds": null, "max_retries": 0, "env_vars": {}},
        })),
        (status = 404, description = "`pipeline_not_found`, `version_not_found`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path((id, number)): Path<(PipelineId, u32)>,
) -> Result<Response, ApiError> {
    let history = History::of(&state.commands, id).await?;
    let version = history.version(number).await?;
    Ok(Json(Detail::of(&history, &version)).into_response())
}

impl<'a> Summary<'a> {
    fn of(history: &History<'_>, version: &'a RecordedVersion) -> Self {
        Self {
            version: version.number,
            name: &version.definition.name,
            script: &version.definition.script,
            created_at: version.created_at,
            actor: version.metadata.actor.as_deref(),
            current: history.is_current(version),
            restores: version.restores,
        }
    }
}

impl<'a> Detail<'a> {
    fn of(history: &History<'_>, version: &'a RecordedVersion) -> Self {
        Self {
            pipeline_id: history.pipeline_id,
            version: version.number,
            created_at: version.created_at,
            actor: version.metadata.actor.as_deref(),
            request_id: version.metadata.request_id.as_deref(),
            position: version.position,
            current: history.is_current(version),
            restores: version.restores,
            definition: &version.definition,
        }
    }
}
