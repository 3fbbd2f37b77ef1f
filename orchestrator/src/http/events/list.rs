//! `GET /api/events`: pages of the feed, with a long poll for what comes next.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use rivet_events::Position;
use rivet_projections::MAX_PAGE_BYTES;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::query::{self, FeedFilter};
use crate::feed::cloud_event::{BATCH_MEDIA_TYPE, CloudEvent};
use crate::feed::{EventBody, FeedEvent, Follower};
use crate::http::answer::{limit, next_link};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::state::AppState;
use crate::http::wait::Wait;

/// Events of one answer where the client does not say.
const DEFAULT_LIMIT: usize = 100;
/// Pages of the log that one request reads at most in search of what passes the filter; then the client goes on from
/// `next`.
const MAX_PAGES: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Range {
    /// Only events after this position; 0 is from the start.
    #[serde(default)]
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    after: u64,
    /// Most events; 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How long to wait for an event if there is none yet, in milliseconds; 50,000 at most.
    #[serde(default)]
    #[param(value_type = u64)]
    wait_ms: Wait,
}

/// A page of the feed.
#[derive(ToSchema)]
#[schema(example = json!({
    "events": [{
        "position": 2,
        "event_id": "01a21390-e111-7000-8000-0123456789ac",
        "type": "runner.lost",
        "version": 1,
        "stream_type": "runner",
        "stream_id": "build-1",
        "sequence": 2,
        "recorded_at": "2026-01-31T12:00:00Z",
        "payload": {"type": "runner.lost", "runner_id": "build-1", "lost_at": "2026-01-31T12:00:00Z"},
        "metadata": {"actor": "process:lost_runners"},
    }],
    "next": 2,
    "head": 2,
}))]
#[expect(dead_code, reason = "only describes the answer")]
struct EventPage {
    /// In order of their positions.
    events: Vec<EventBody<'static>>,
    /// The `after` of the next page.
    next: Position,
    /// The position of the last event in the log.
    head: Position,
}

/// Read the feed of all events, by position.
///
/// `next` is the `after` of the next page: past what the filter skipped, and never less than `after`. Where the
/// client accepts them, the events are `CloudEvents`, with the next page in `Link`.
#[utoipa::path(
    get, path = "/api/events", operation_id = "listEvents", tag = "Events",
    params(Range, FeedFilter),
    responses((status = 200, description = "A page of events", headers(("Link" = String)), content(
        (EventPage = "application/json"),
        (Vec<CloudEvent> = "application/cloudevents-batch+json"),
    )))
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(range): Query<Range>,
    Query(filter): Query<FeedFilter>,
) -> Result<Response, ApiError> {
    let limit = limit(range.limit, DEFAULT_LIMIT)?;
    let deadline = Instant::now() + range.wait_ms.0;
    let after = query::position(range.after)?;
    let mut follower = state.feed.follow(filter.into(), after);
    let events = loop {
        let (events, at_end) = gather(&mut follower, limit).await?;
        let over = Instant::now() >= deadline || state.draining.is_cancelled();
        if !events.is_empty() || !at_end || over {
            break events;
        }
        let _ = state.draining.run_until_cancelled(follower.wait(deadline)).await;
    };
    if wants_cloud_events(&headers) {
        return Ok(as_cloud_events(&uri, &events, follower.position()));
    }
    // The head is not before what was read, whatever leaves the log meanwhile. The client's own `after` does not
    // count: it may be beyond the end.
    let read = Some(follower.position()).filter(|read| *read > after).unwrap_or_default();
    let head = state.feed.head().await?.max(read);
    Ok(as_events(&events, follower.position(), head))
}

/// The next events, up to the limits, and whether the end of the log was reached.
async fn gather(follower: &mut Follower, limit: usize) -> Result<(Vec<Arc<FeedEvent>>, bool), ApiError> {
    let (mut events, mut bytes, mut pages) = (Vec::new(), 0, 0);
    while events.len() < limit {
        match follower.peek() {
            Some(next) if !events.is_empty() && bytes + next.json().len() > MAX_PAGE_BYTES => break,
            Some(next) => {
                bytes += next.json().len();
                events.extend(follower.take());
            }
            None if pages == MAX_PAGES => return Ok((events, false)),
            None => {
                pages += 1;
                if !follower.advance().await? {
                    return Ok((events, true));
                }
            }
        }
    }
    Ok((events, false))
}

fn as_events(events: &[Arc<FeedEvent>], next: Position, head: Position) -> Response {
    let mut body = Vec::from(b"{\"events\":[");
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.json());
    }
    body.extend_from_slice(format!("],\"next\":{next},\"head\":{head}}}").as_bytes());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// The batch format is a bare array and has no room for `next`, so the next page is in `Link`.
fn as_cloud_events(uri: &Uri, events: &[Arc<FeedEvent>], next: Position) -> Response {
    let batch: Vec<CloudEvent<'_>> = events.iter().map(|event| (&*event.envelope).into()).collect();
    let body = serde_json::to_vec(&batch).expect("invariant: an event that was stored is plain data");
    let mut response =
        ([(header::CONTENT_TYPE, HeaderValue::from_static(BATCH_MEDIA_TYPE))], body).into_response();
    response.headers_mut().extend(next_link(uri, "after", &next).map(|link| (header::LINK, link)));
    response
}

fn wants_cloud_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_batch =
            parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(BATCH_MEDIA_TYPE));
        is_batch && !parts.any(says_never)
    })
}

/// Whether a parameter of a media type is the weight 0, which means that the type is not acceptable.
fn says_never(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}
