//! Why a job is waiting.

use std::collections::BTreeSet;
use utoipa::ToSchema;

use chrono::{DateTime, Utc};
use rivet_events::job::JobStatus;
use rivet_projections::job_queue::{self, QueuedJob};
use rivet_projections::jobs::Job;
use rivet_projections::runners::{self, Runner, RunnerStatus};
use serde::Serialize;

use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Runners that are asked for what they can do; with more than this, the first of them stand for all.
const RUNNERS: usize = 1_000;

/// Why a job is waiting, and how many are before it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Waiting {
    /// 1 is the next, of all that wait, whatever they demand.
    place: u64,
    reason: Reason,
    /// What no online runner has.
    missing_capabilities: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// A suitable runner is idle.
    Ready,
    /// All suitable runners are at work.
    Busy,
    /// No online runner has all that it demands.
    NoRunner,
    /// Its group runs as many as it may.
    Concurrency,
    /// It failed, and its next attempt is not due.
    Backoff,
}

/// Why the job is waiting; `None` if it is not.
pub(super) async fn waiting(
    state: &AppState,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<Option<Waiting>, ApiError> {
    if job.status != JobStatus::Queued {
        return Ok(None);
    }
    let Some(queued) = job_queue::find(&state.read_models, job.id).await? else { return Ok(None) };
    let place = job_queue::ahead_of(&state.read_models, &queued).await? + 1;
    let waiting = |reason| Some(Waiting { place, reason, missing_capabilities: vec![] });
    if !queued.is_due(now) {
        return Ok(waiting(Reason::Backoff));
    }
    if is_full(state, &queued).await? {
        return Ok(waiting(Reason::Concurrency));
    }
    let runners = runners::list(&state.read_models, None, None, RUNNERS).await?.items;
    let online: Vec<&Runner> =
        runners.iter().filter(|runner| runner.status != RunnerStatus::Offline).collect();
    let mut suitable = online.iter().filter(|runner| covers(runner, &queued.demands)).peekable();
    if suitable.peek().is_none() {
        let missing_capabilities = missing(&online, &queued.demands);
        return Ok(Some(Waiting { place, reason: Reason::NoRunner, missing_capabilities }));
    }
    let idle = suitable.any(|runner| runner.status == RunnerStatus::Online);
    Ok(waiting(if idle { Reason::Ready } else { Reason::Busy }))
}

async fn is_full(state: &AppState, job: &QueuedJob) -> Result<bool, ApiError> {
    let Some(concurrency) = &job.concurrency else { return Ok(false) };
    let running = job_queue::running_of_group(&state.read_models, &concurrency.group).await?;
    Ok(running >= u64::from(concurrency.limit))
}

/// Whether a runner has all of it; one without restrictions has everything.
fn covers(runner: &Runner, demands: &[String]) -> bool {
    runner.capabilities.as_ref().is_none_or(|has| demands.iter().all(|demand| has.contains(demand)))
}

/// What none of the runners has. Where each demand is met by one or other, but by none together, it is all of them.
fn missing(runners: &[&Runner], demands: &[String]) -> Vec<String> {
    let has: BTreeSet<&String> =
        runners.iter().filter_map(|runner| runner.capabilities.as_ref()).flatten().collect();
    let missing: Vec<String> = demands.iter().filter(|demand| !has.contains(demand)).cloned().collect();
    if missing.is_empty() { demands.to_vec() } else { missing }
}
