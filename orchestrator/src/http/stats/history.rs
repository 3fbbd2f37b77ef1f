//! `GET /api/stats/history`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use rivet_projections::job_flow::{self, MINUTES, Minute};
use rivet_projections::pipeline_activity::{self, Totals};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::state::AppState;

/// Minutes in the answer where the client does not say.
const DEFAULT_MINUTES: u32 = 60;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Span {
    /// How many minutes back; 60 where absent.
    #[param(minimum = 1, maximum = 1440)]
    minutes: Option<u32>,
}

/// The figures of one minute.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Minute, example = json!({
    "minute": "2026-01-31T12:00:00Z",
    "launched": 5,
    "claimed": 2,
    "requeued": 0,
    "succeeded": 1,
    "failed": 0,
    "cancelled": 0,
    "timed_out": 0,
    "queued": 3,
    "running": 1,
    "average_wait_seconds": 1.5,
    "longest_wait_seconds": 2.5,
}))]
pub(in crate::http) struct Point {
    /// When it began.
    minute: DateTime<Utc>,
    launched: u64,
    claimed: u64,
    /// Attempts that ended, with another one to follow.
    requeued: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    timed_out: u64,
    /// Queued jobs at the end of the minute.
    queued: u64,
    /// Running jobs at the end of the minute.
    running: u64,
    /// How long the jobs that were claimed had waited on average, since they could be claimed; null where none was.
    average_wait_seconds: Option<f64>,
    /// The longest such wait; null where no job was claimed.
    longest_wait_seconds: Option<f64>,
}

/// Get the last minutes, oldest first.
///
/// The last one is the current minute. Minutes in which nothing happened are included.
#[utoipa::path(
    get, path = "/api/stats/history", operation_id = "getStatsHistory", tag = "Operations",
    params(Span),
    responses((status = 200, description = "The minutes", body = [Point]))
)]
pub(in crate::http) async fn history(
    State(state): State<AppState>,
    Query(span): Query<Span>,
) -> Result<Json<Vec<Point>>, ApiError> {
    let minutes = span.minutes.unwrap_or(DEFAULT_MINUTES);
    if !(1..=MINUTES).contains(&minutes) {
        let detail = format!("minutes: must be from 1 to {MINUTES}");
        return Err(ApiError::malformed("invalid_query", detail));
    }
    let last = Minute::of(state.clock.now());
    let first = last - i64::from(minutes) + 1;
    let flow = job_flow::since(&state.read_models, first).await?;
    let totals = pipeline_activity::totals(&state.read_models).await?;
    Ok(Json(points(&flow, first, last, totals)))
}

/// Computes the points from the current totals, back minute by minute. What was recorded by a clock that is ahead
/// counts as now.
fn points(flow: &[Minute], first: i64, last: i64, now: Totals) -> Vec<Point> {
    let mut stand = now;
    let mut rest = flow.iter().rev().peekable();
    while let Some(ahead) = rest.next_if(|found| found.minute > last) {
        stand = before(stand, ahead);
    }
    let mut points = Vec::new();
    for minute in (first..=last).rev() {
        let found = rest.next_if(|found| found.minute == minute).copied();
        let found = found.unwrap_or(Minute { minute, ..Minute::default() });
        points.push(point(&found, stand));
        stand = before(stand, &found);
    }
    points.reverse();
    points
}

/// The totals before a minute, from those after it. The totals and the minutes are read one after the other, so a job
/// may be missing in one of them; hence the saturating subtraction.
fn before(after: Totals, minute: &Minute) -> Totals {
    let ended_running = minute.ended().saturating_sub(minute.ended_waiting);
    let queued = after.queued + minute.claimed + minute.ended_waiting;
    let running = after.running + minute.requeued + ended_running;
    Totals {
        queued: queued.saturating_sub(minute.launched + minute.requeued),
        running: running.saturating_sub(minute.claimed),
    }
}

#[expect(clippy::cast_precision_loss, reason = "waits are no 50 million days long")]
fn point(minute: &Minute, stand: Totals) -> Point {
    let seconds = |ms: u64| ms as f64 / 1_000.0;
    let claimed = minute.claimed > 0;
    Point {
        minute: DateTime::from_timestamp(minute.minute * 60, 0).unwrap_or_default(),
        launched: minute.launched,
        claimed: minute.claimed,
        requeued: minute.requeued,
        succeeded: minute.succeeded,
        failed: minute.failed,
        cancelled: minute.cancelled,
        timed_out: minute.timed_out,
        queued: stand.queued,
        running: stand.running,
        average_wait_seconds: claimed.then(|| seconds(minute.waited_ms) / minute.claimed as f64),
        longest_wait_seconds: claimed.then(|| seconds(minute.longest_wait_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_follows_from_the_present_and_what_happened_since() {
        let none = Minute::default();
        let flow = [
            Minute { minute: 10, launched: 5, claimed: 2, ..none },
            Minute { minute: 12, requeued: 1, succeeded: 1, cancelled: 2, ended_waiting: 2, ..none },
            Minute { minute: 13, launched: 7, ..none },
        ];
        // 5 launched, 2 of them claimed; then one is back, one has succeeded, and two are cancelled as they wait.
        let now = Totals { queued: 9, running: 0 };
        let stands: Vec<(i64, u64, u64)> = points(&flow, 9, 13, now)
            .iter()
            .map(|point| (point.minute.timestamp() / 60, point.queued, point.running))
            .collect();
        assert_eq!(stands, [(9, 0, 0), (10, 3, 2), (11, 3, 2), (12, 2, 0), (13, 9, 0)]);
        let ahead = points(&flow, 12, 12, now);
        assert_eq!((ahead[0].queued, ahead[0].average_wait_seconds), (2, None));
    }

    #[test]
    fn waits_are_told_of_minutes_with_claims() {
        let minute = Minute { claimed: 2, waited_ms: 3_000, longest_wait_ms: 2_500, ..Minute::default() };
        let point = point(&minute, Totals::default());
        assert_eq!((point.average_wait_seconds, point.longest_wait_seconds), (Some(1.5), Some(2.5)));
    }
}
