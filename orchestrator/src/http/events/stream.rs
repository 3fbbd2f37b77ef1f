//! `GET /api/events/stream`: the feed as server-sent events.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::query::{self, FeedFilter};
use crate::feed::Follower;
use crate::http::error::ApiError;
use crate::http::extract::{Query, header_value};
use crate::http::header::LAST_EVENT_ID;
use crate::http::sse::{self, Frames, KEEP_ALIVE};
use crate::http::state::AppState;
use crate::metrics::Stream;
use crate::telemetry::chain;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Start {
    /// Only events after this position; only new ones where absent.
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<u64>,
}

/// Follow the feed of all events, as server-sent events.
///
/// The data of each is an Event in one line of JSON, and its id is its position: a client that reconnects with the
/// last id resumes there. The stream has no end of its own.
#[utoipa::path(
    get, path = "/api/events/stream", operation_id = "followEvents", tag = "Events",
    params(Start, FeedFilter, ("Last-Event-ID" = u64, Header)),
    responses((
        status = 200, description = "Every event that passes the filter, as it is recorded", body = String,
        content_type = "text/event-stream",
        example = json!("id: 42\ndata: {\"position\":42,\"type\":\"job.launched\",…}\n\n"),
    ))
)]
pub(in crate::http) async fn stream(
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(start): Query<Start>,
    Query(filter): Query<FeedFilter>,
) -> Result<Response, ApiError> {
    // The header wins: a browser reconnects to its first address, with the old `after`, and adds the header.
    let after = match header_value(&headers, &LAST_EVENT_ID)?.or(start.after) {
        Some(after) => query::position(after)?,
        None => state.feed.head().await?,
    };
    let follower = state.feed.follow(filter.into(), after);
    Ok(sse::answer(&state, Stream::Events, Frames::opening(after), follower))
}

impl sse::Source for Follower {
    async fn next(&mut self) -> Option<Frames> {
        let event = match Follower::next(self, Instant::now() + KEEP_ALIVE).await {
            Ok(Some(event)) => event,
            // The id moves on, so that a client that reconnects does not pass over the same events again.
            Ok(None) => return Some(Frames::keep_alive(self.position())),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a reader of the feed has to come back");
                return None;
            }
        };
        let mut frames = Frames::default();
        frames.push(event.position(), event.json());
        while !frames.is_full()
            && let Some(event) = self.take()
        {
            frames.push(event.position(), event.json());
        }
        Some(frames)
    }
}
