//! `GET /api/events`

use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

use axum::Json;
use axum::extract::State;
use rivet_events::Position;
use serde::Deserialize;
use serde_json::{Value, json};

use super::envelope::EventBody;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::state::AppState;

/// Events of one answer at most.
const MAX_LIMIT: usize = 1_000;
/// Events of one answer where the client does not say.
const DEFAULT_LIMIT: usize = 100;
/// Events that a filter may pass over before the client is given a chance to go on by itself.
const MAX_SCANNED: usize = 20_000;
/// Longest wait for something new.
const MAX_WAIT: Duration = Duration::from_secs(50);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Feed {
    /// The last position seen; 0 is from the start.
    #[serde(default)]
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    after: u64,
    /// Events at most; 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Of this type alone, such as `job.claimed`.
    r#type: Option<String>,
    /// How long to wait for something new, in milliseconds; 50,000 at most.
    #[serde(default)]
    wait_ms: u64,
}

/// Events of the feed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the answer")]
struct EventPage {
    /// In order of their positions.
    events: Vec<EventBody<'static>>,
    /// What to send as `after`.
    next: Position,
    /// The position of the last event there is.
    head: Position,
}

/// Read the feed of all events, by position.
///
/// `next` is what to send as `after`: past what the filter skipped, and never before `after`.
#[utoipa::path(
    get, path = "/api/events", operation_id = "listEvents", tag = "Events",
    params(Feed),
    responses((status = 200, description = "Some of them", body = EventPage))
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    Query(feed): Query<Feed>,
) -> Result<Json<Value>, ApiError> {
    let limit = match feed.limit {
        None => DEFAULT_LIMIT,
        Some(limit @ 1..=MAX_LIMIT) => limit,
        Some(_) => {
            return Err(ApiError::malformed(
                "invalid_query",
                format!("limit: must be from 1 to {MAX_LIMIT}"),
            ));
        }
    };
    if i64::try_from(feed.after).is_err() {
        return Err(ApiError::malformed("invalid_query", "after: is no position"));
    }
    let log = state.commands.log();
    let mut changes = log.watch();
    let wait = Duration::from_millis(feed.wait_ms).min(MAX_WAIT);
    let deadline = tokio::time::Instant::now() + wait;
    let mut next = Position(feed.after);
    loop {
        changes.borrow_and_update();
        let (events, seen) = scan(&state, next, limit, feed.r#type.as_deref()).await?;
        next = seen;
        let over = tokio::time::Instant::now() >= deadline;
        if !events.is_empty() || over {
            let head = log.head().await?.max(next);
            return Ok(Json(json!({"events": events, "next": next, "head": head})));
        }
        // Late by the deadline at most; what was missed is found by the look after it.
        let _ = tokio::time::timeout_at(deadline, changes.changed()).await;
    }
}

async fn scan(
    state: &AppState,
    mut after: Position,
    limit: usize,
    wanted: Option<&str>,
) -> Result<(Vec<Value>, Position), ApiError> {
    let mut found = Vec::new();
    for _ in 0..MAX_SCANNED / MAX_LIMIT {
        let batch = state.commands.log().read_all(after, MAX_LIMIT).await?;
        for envelope in &batch {
            after = envelope.position;
            if wanted.is_none_or(|wanted| wanted == envelope.event.event_type()) {
                found.push(json!(EventBody::from(&**envelope)));
                if found.len() == limit {
                    return Ok((found, after));
                }
            }
        }
        if batch.len() < MAX_LIMIT {
            break;
        }
    }
    Ok((found, after))
}
