//! `GET /api/projections/{name}/parked`, `POST /api/projections/{name}/parked/{stream}/retry` and `…/skip`: the
//! streams that a read model has given up since it could not apply an event, and what an operator decides about them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use rivet_events::{Position, StreamId, StreamType};
use rivet_projections::parked::ParkedStream;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Decision, carry_out, known};
use crate::domain::projection::{Parked, ProjectionCommand, RetryStream, SkipEvent};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, OptionalJson, Path};
use crate::http::state::AppState;

/// A stream that a read model has given up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedStream, example = json!({
    "stream_type": "job",
    "stream_id": "01a21390-df33-760a-b038-1135a443c6dd",
    "position": 42,
    "error": "the event does not fit what was before it",
}))]
pub(in crate::http) struct ParkedBody {
    #[schema(value_type = StreamType)]
    stream_type: &'static str,
    stream_id: String,
    /// The position of the event that could not be applied.
    position: Position,
    /// Why it could not be applied.
    error: String,
}

/// List the streams that a read model has given up.
#[utoipa::path(
    get, path = "/api/projections/{name}/parked", operation_id = "listParkedStreams", tag = "Operations",
    params(("name" = String, Path, description = "The read model")),
    responses(
        (status = 200, description = "The streams", body = [ParkedBody]),
        (status = 404, description = "`projection_not_found`"),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<Vec<ParkedBody>>, ApiError> {
    let parked = state.read_models.parked(known(&name)?).await?;
    Ok(Json(parked.into_iter().map(ParkedBody::from).collect()))
}

/// Records what was decided about a parked stream, and begins a rebuild. It takes a whole one: rows are made of
/// several streams, so the missing events of one cannot just be added at the end.
pub(in crate::http) async fn decide(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path((name, path)): Path<(String, String)>,
    OptionalJson(decision): OptionalJson<Decision>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let name = known(&name)?;
    let (stream, verb) = path.rsplit_once('/').unwrap_or_default();
    let stream: StreamId =
        stream.parse().map_err(|error| ApiError::malformed("invalid_path", format!("{error}")))?;
    let parked = find(&state, name, stream).await?;
    let (reason, now) = (decision.unwrap_or_default().reason, state.clock.now());
    let command = match verb {
        "retry" => retry(parked, reason, now),
        "skip" => skip(parked, reason, now),
        _ => return Err(ApiError::not_found("unknown_path", "a parked stream takes retry or skip")),
    };
    carry_out(state, name, command, metadata).await
}

/// Try the parked streams of a read model again.
///
/// This begins a rebuild, in which all of them are tried again: for a build that can read what another could not.
#[utoipa::path(
    post, path = "/api/projections/{name}/parked/{stream}/retry", operation_id = "retryParkedStream", tag = "Operations",
    params(
        ("name" = String, Path, description = "The read model"),
        ("stream" = String, Path, pattern = "^(pipeline|job|job_log|runner|claim|group|projection|webhook|archive)/.+$", description = "The stream: its type and its id with a slash between them, which may stay as it is"),
    ),
    request_body(content = Option<Decision>, description = "May be left out"),
    responses(
        (status = 202, description = "The rebuild has begun", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`projection_not_found`, `stream_not_parked`"),
        (status = 409, description = "`event_skipped`, `newer_build`"),
    )
)]
pub(in crate::http) fn retry(
    parked: Parked,
    reason: Option<String>,
    now: DateTime<Utc>,
) -> ProjectionCommand {
    ProjectionCommand::Retry(RetryStream { parked, reason, now })
}

/// Go on with a parked stream without the event that it was given up at.
///
/// This begins a rebuild. The event is left out of every later one, too.
#[utoipa::path(
    post, path = "/api/projections/{name}/parked/{stream}/skip", operation_id = "skipParkedEvent", tag = "Operations",
    params(
        ("name" = String, Path, description = "The read model"),
        ("stream" = String, Path, pattern = "^(pipeline|job|job_log|runner|claim|group|projection|webhook|archive)/.+$", description = "The stream: its type and its id with a slash between them, which may stay as it is"),
    ),
    request_body(content = Option<Decision>, description = "May be left out"),
    responses(
        (status = 202, description = "The rebuild has begun", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`projection_not_found`, `stream_not_parked`"),
        (status = 409, description = "`newer_build`"),
    )
)]
pub(in crate::http) fn skip(parked: Parked, reason: Option<String>, now: DateTime<Utc>) -> ProjectionCommand {
    ProjectionCommand::Skip(SkipEvent { parked, reason, now })
}

async fn find(state: &AppState, name: &str, stream: StreamId) -> Result<Parked, ApiError> {
    let parked = state.read_models.parked(name).await?;
    let Some(parked) = parked.into_iter().find(|parked| parked.stream == stream) else {
        let detail = format!("{stream} is not parked in the projection {name}");
        return Err(ApiError::not_found("stream_not_parked", detail));
    };
    let ParkedStream { stream, position, error } = parked;
    Ok(Parked { projection: name.to_owned(), stream, position, error })
}

impl From<ParkedStream> for ParkedBody {
    fn from(parked: ParkedStream) -> Self {
        Self {
            stream_type: parked.stream.kind.as_str(),
            stream_id: parked.stream.id,
            position: parked.position,
            error: parked.error,
        }
    }
}
