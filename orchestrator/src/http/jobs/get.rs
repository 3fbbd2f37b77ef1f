//! `GET /api/jobs/{id}`: one job, also from rows that are folded but not stored yet, and why it waits.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use rivet_events::id::JobId;
use rivet_events::job::JobStatus;
use rivet_projections::jobs;

use super::body::Job;
use super::waiting::waiting;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::fresh::{Freshness, stale};
use crate::http::moment::{At, answer_at};
use crate::http::state::{AppState, unknown_job};

/// Get a job, as it is or as it was.
///
/// A job that waits says what for.
#[utoipa::path(
    get, path = "/api/jobs/{id}", operation_id = "getJob", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job"), At),
    responses(
        (status = 200, description = "The job", body = Job),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Freshness(at_least): Freshness,
    Path(id): Path<JobId>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    if let Some(then) = at.moment(&state).await? {
        let row = jobs::find_at(&state.read_models, id, then.position).await?;
        let job = Job::from_row(row.ok_or_else(|| unknown_job(id))?, then.time);
        return Ok(answer_at(Some(then), Json(job)));
    }
    let now = state.clock.now();
    let (row, mut fresh) = jobs::find_at_least(&state.read_models, id, at_least).await?;
    let response = match row {
        Some(row) => {
            // Why it waits is read from other rows, which have to be fresh too.
            fresh &= row.status != JobStatus::Queued
                || state.read_models.wait_for(at_least.position, at_least.timeout).await;
            let waiting = waiting(&state, &row, now).await?;
            Json(Job::from_row(row, now).with_waiting(waiting)).into_response()
        }
        None => unknown_job(id).into_response(),
    };
    Ok(if fresh { response } else { stale(response) })
}
