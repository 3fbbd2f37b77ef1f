//! `POST /api/jobs/{id}/cancel`

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rivet_events::id::JobId;
use serde::Deserialize;

use crate::domain::job::{CancelJob, JobCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{OptionalJson, Path};
use crate::http::header::RequestId;
use crate::http::state::{Actor, AppState};

#[derive(Debug, Default, Deserialize)]
pub(in crate::http) struct Cancel {
    /// End it after the grace even if the holder goes on.
    #[serde(default)]
    force: bool,
    #[serde(default)]
    reason: Option<String>,
}

pub(in crate::http) async fn cancel(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    OptionalJson(body): OptionalJson<Cancel>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let Cancel { force, reason } = body.unwrap_or_default();
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Client);
    let now = state.clock.now();
    let command = JobCommand::Cancel(CancelJob {
        reason,
        force,
        grace: state.config.cancel_grace,
        // Whether the holder is silent, the reconciler finds out: this server knows neither whom the others heard
        // of, nor whom it would have heard of if it had not just started.
        last_contact: Some(now),
        now,
    });
    let committed = state.commands.jobs.execute(job_id, command, &metadata).await?;
    Ok(done(state.position_of(&committed)))
}
