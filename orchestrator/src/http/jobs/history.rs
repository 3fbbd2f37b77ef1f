//! `GET /api/jobs/{id}/events`: the history of a job, from its stream.

use std::iter;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use rivet_events::id::JobId;
use rivet_events::{Envelope, StreamId, Version};
use rivet_projections::jobs::Jobs;
use rivet_projections::projection::Projection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::Job;
use crate::feed::EventBody;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::{AppState, unknown_job};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Detail {
    /// Whether each event comes with the state of the job after it.
    #[serde(default)]
    states: bool,
}

/// The history of a job.
#[derive(ToSchema)]
#[schema(as = JobHistory, example = json!({
    "events": [{
        "position": 3,
        "event_id": "01a21390-e111-7000-8000-0123456789ac",
        "type": "job.cancel_requested",
        "version": 1,
        "stream_type": "job",
        "stream_id": "01a21390-df33-760a-b038-1135a443c6dd",
        "sequence": 3,
        "recorded_at": "2026-01-31T12:00:00Z",
        "payload": {
            "type": "job.cancel_requested",
            "job_id": "01a21390-df33-760a-b038-1135a443c6dd",
            "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
            "runner_id": "build-1",
            "reason": "wrong branch",
            "force": false,
            "requested_at": "2026-01-31T12:00:00Z",
        },
        "metadata": {"actor": "client", "request_id": "752fbe84-0f88-4908-82b6-4a738be65607"},
    }],
}))]
#[expect(dead_code, reason = "only describes the answer")]
struct History {
    /// Every event, in order.
    events: Vec<HistoryEvent>,
}

/// An event of a job's history.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the answer")]
struct HistoryEvent {
    #[serde(flatten)]
    event: EventBody<'static>,
    /// The job after the event; only with `states=true`.
    state: Option<Job>,
}

/// Get the history of a job: every event, in order.
///
/// It is read from the job's stream, and needs no read model.
#[utoipa::path(
    get, path = "/api/jobs/{id}/events", operation_id = "getJobHistory", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job"), Detail),
    responses(
        (status = 200, description = "The events", body = History),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(in crate::http) async fn history(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
    Query(detail): Query<Detail>,
) -> Result<Response, ApiError> {
    let events = state.commands.log().read_stream(&StreamId::job(id), Version::default()).await?;
    if events.is_empty() {
        return Err(unknown_job(id));
    }
    let body = Body::from_stream(stream::iter(pieces(events, detail.states)));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The text of the answer, one piece for each event. Each state has all that the job was launched with and ended
/// with, so the whole text is never in memory at once.
fn pieces(
    events: Vec<Arc<Envelope>>,
    with_states: bool,
) -> impl Iterator<Item = serde_json::Result<Vec<u8>>> {
    let mut row = None;
    let texts = events.into_iter().enumerate().map(move |(place, envelope)| {
        let event = EventBody::from(&*envelope);
        let entry = if with_states {
            row = Jobs::apply(row.take(), &envelope);
            let state = row.clone().map(|row| Job::from_row(row, envelope.recorded_at));
            Entry::WithState { event, state }
        } else {
            Entry::Alone(event)
        };
        let mut text = Vec::from(if place == 0 { "{\"events\":[" } else { "," });
        serde_json::to_writer(&mut text, &entry)?;
        Ok(text)
    });
    texts.chain(iter::once(Ok(b"]}".to_vec())))
}

#[derive(Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Entry<'a> {
    Alone(EventBody<'a>),
    WithState {
        #[serde(flatten)]
        event: EventBody<'a>,
        state: Option<Job>,
    },
}
