//! `POST /api/runners/{id}/heartbeat`: notes that a runner is alive, and tells it which of its jobs must stop.
//!
//! With a lease it also tells the runner whether it still holds that job.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use rivet_events::id::{LeaseId, RunnerId};
use rivet_projections::runners::{self, HeldJob, Runner};

use super::runner_id;
use crate::domain::job::{JobCommand, JobError, ShowLease};
use crate::http::answer::done;
use crate::http::contact::Contact;
use crate::http::error::{ApiError, method_not_allowed};
use crate::http::extract::{Client, Path, header_value};
use crate::http::header::{CANCEL, LEASE};
use crate::http::metadata::by_runner;
use crate::http::state::AppState;

/// The end of a heartbeat's path, after the name of the runner.
const HEARTBEAT: &str = "/heartbeat";

/// Say that a runner is alive.
///
/// A runner that never registered is registered by it, without restrictions.
#[utoipa::path(
    post, path = "/api/runners/{id}/heartbeat", operation_id = "heartbeat", tag = "Runners",
    params(("id" = RunnerId, Path, description = "The runner; slashes may stay as they are"), ("Rivet-Lease" = Uuid, Header)),
    responses(
        (status = 204, description = "Noted", headers(("Rivet-Position" = u64), ("Rivet-Cancel" = String))),
        (status = 400, description = "`invalid_path`"),
        (status = 409, description = "`lease_lost`"),
    )
)]
pub(in crate::http) async fn heartbeat(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let Some(id) = path.strip_suffix(HEARTBEAT) else {
        return Err(wrong_method(Method::POST, Path(path)).await);
    };
    let runner_id = runner_id(id)?;
    let metadata = by_runner(metadata, &runner_id);
    let lease = header_value(&headers, &LEASE)?;
    let mut position = match state.note_contact(Contact::Work, &runner_id, &metadata).await? {
        Some(noted) => state.position_of(&noted).await?,
        // Only noted in memory: nothing was decided on the log, so the head as this process knows it will do.
        None => *state.commands.log().watch().borrow(),
    };
    // The answer reflects what this server acknowledged before, such as a cancellation, as a GET would.
    let acknowledged = state.at_least(state.commands.acknowledged());
    let (runner, _) = runners::find_at_least(&state.read_models, &runner_id, acknowledged).await?;
    if let Some(lease) = lease {
        match held(runner.as_ref(), lease) {
            Some(job) if job.fencing => {}
            Some(job) => {
                let show = JobCommand::ShowLease(ShowLease { lease, now: state.clock.now() });
                let shown = state.commands.jobs.execute(job.job_id, show, &metadata).await?;
                position = state.position_of(&shown).await?;
            }
            None => check_lease(&state, &runner_id, lease).await?,
        }
    }
    let mut response = done(position).into_response();
    if let Some(jobs) = runner.as_ref().and_then(jobs_to_stop) {
        response.headers_mut().insert(CANCEL, jobs);
    }
    Ok(response)
}

/// 405 under `/api/runners/`, where only a heartbeat is posted.
pub(in crate::http) async fn wrong_method(method: Method, Path(path): Path<String>) -> ApiError {
    let allowed = if path.ends_with(HEARTBEAT) { "GET,HEAD,DELETE,POST" } else { "GET,HEAD,DELETE" };
    method_not_allowed(&method, &format!("/api/runners/{path}"))
        .with(header::ALLOW, HeaderValue::from_static(allowed))
}

/// Refuses a lease that is held no more, so that its former holder learns of it early. The read model is believed
/// only when it has reached the head of the log, where a claim may stand that another replica has just acknowledged.
async fn check_lease(state: &AppState, runner_id: &RunnerId, lease: LeaseId) -> Result<(), ApiError> {
    let head = state.at_least(state.commands.log().head().await?);
    let (runner, caught_up) = runners::find_at_least(&state.read_models, runner_id, head).await?;
    if caught_up && held(runner.as_ref(), lease).is_none() { Err(JobError::LeaseLost.into()) } else { Ok(()) }
}

fn held(runner: Option<&Runner>, lease: LeaseId) -> Option<&HeldJob> {
    runner?.held.iter().find(|held| held.lease_id == lease)
}

/// The value of `Rivet-Cancel`: the ids of the jobs that the runner holds and must stop.
fn jobs_to_stop(runner: &Runner) -> Option<HeaderValue> {
    let ids: Vec<String> =
        runner.held.iter().filter(|held| held.cancelling).map(|held| held.job_id.to_string()).collect();
    if ids.is_empty() {
        return None;
    }
    HeaderValue::from_str(&ids.join(",")).ok()
}
