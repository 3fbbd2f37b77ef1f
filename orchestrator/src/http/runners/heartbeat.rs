//! `POST /api/runners/{id}/heartbeat`

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use rivet_events::id::RunnerId;
use rivet_projections::runners;

use super::runner_id;
use crate::http::answer::done;
use crate::http::error::{ApiError, method_not_allowed};
use crate::http::extract::Path;
use crate::http::header::{CANCEL, RequestId};
use crate::http::state::{Actor, AppState};

pub(in crate::http) async fn heartbeat(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let Some(id) = path.strip_suffix("/heartbeat") else {
        return Err(method_not_allowed(&Method::POST, &format!("/api/runners/{path}")));
    };
    let runner_id = runner_id(id)?;
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Runner(&runner_id));
    let recorded = state.heard_from(&runner_id, &metadata).await?;
    let mut response = match recorded {
        Some(position) => done(position).into_response(),
        None => done(*state.commands.log().watch().borrow()).into_response(),
    };
    if let Some(jobs) = jobs_to_stop(&state, &runner_id).await? {
        response.headers_mut().insert(CANCEL, jobs);
    }
    Ok(response)
}

/// The ids of the jobs that the runner holds and must stop, as they stand in the header.
async fn jobs_to_stop(state: &AppState, runner_id: &RunnerId) -> Result<Option<HeaderValue>, ApiError> {
    let Some(runner) = runners::find(&state.read_models, runner_id).await? else { return Ok(None) };
    let ids: Vec<String> =
        runner.held.iter().filter(|held| held.cancelling).map(|held| held.job_id.to_string()).collect();
    if ids.is_empty() {
        return Ok(None);
    }
    Ok(HeaderValue::from_str(&ids.join(",")).ok())
}
