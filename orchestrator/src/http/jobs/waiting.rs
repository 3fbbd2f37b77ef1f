//! Why a job is waiting: looked up in the queue, its concurrency group and the online runners when the job is read.

use chrono::{DateTime, Utc};
use rivet_events::id::JobId;
use rivet_events::job::{Concurrency, JobStatus};
use rivet_projections::job_queue::{self, QueuedJob};
use rivet_projections::jobs::Job;
use rivet_projections::runners::{self, RunnerFilter, RunnerStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Runners that are read at a time.
const PAGE: usize = 1_000;

/// Of the jobs that hold the places of a group, so many are named.
const HOLDERS: usize = 20;

/// Why a job is waiting, and its place in the queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Waiting {
    /// The place among all waiting jobs, whatever they demand; 1 is the next.
    place: u64,
    reason: Reason,
    /// The demands that no online runner meets; all of them where only no single runner meets all.
    missing_capabilities: Vec<String>,
    /// The concurrency group, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The jobs that hold the group's places, at most 20; empty where the reason is another one.
    held_by: Vec<JobId>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// A suitable runner is idle.
    Ready,
    /// All suitable runners are busy.
    Busy,
    /// No online runner may claim it.
    NoRunner,
    /// Its concurrency group has reached its limit.
    Concurrency,
    /// An attempt failed, and the next one is not due yet.
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
    let waiting =
        |reason| Waiting { place, reason, missing_capabilities: vec![], group: None, held_by: vec![] };
    if !queued.is_due(now) {
        return Ok(Some(waiting(Reason::Backoff)));
    }
    if let Some(group) = full_group(state, &queued).await? {
        let held_by = job_queue::held_of_group(&state.read_models, group, HOLDERS).await?;
        return Ok(Some(Waiting { group: Some(group.to_owned()), held_by, ..waiting(Reason::Concurrency) }));
    }
    Ok(Some(match fit(state, &queued).await? {
        Fit::Idle => waiting(Reason::Ready),
        Fit::Busy => waiting(Reason::Busy),
        Fit::None(missing_capabilities) => Waiting { missing_capabilities, ..waiting(Reason::NoRunner) },
    }))
}

/// How well the best of the online runners fits a job.
enum Fit {
    /// It may claim the job, and is idle.
    Idle,
    /// It may claim the job, and is busy.
    Busy,
    /// None may claim the job. These demands are met by none of them, or are all demands where each is met by some runner,
    /// but no runner meets all; empty where all that is missing is a runner that fences.
    None(Vec<String>),
}

async fn fit(state: &AppState, job: &QueuedJob) -> Result<Fit, ApiError> {
    let mut unmet = job.demands.clone();
    let mut lacks_only_fencing = false;
    for (status, fit) in [(RunnerStatus::Online, Fit::Idle), (RunnerStatus::Busy, Fit::Busy)] {
        let filter = RunnerFilter { status: vec![status], ..RunnerFilter::default() };
        let mut after = None;
        loop {
            let page = runners::list(&state.read_models, &filter, after.as_ref(), PAGE).await?;
            for runner in page.items {
                if runner.capabilities.covers(&job.demands) {
                    // Whether a runner fences is known only of the jobs that it holds. An idle one that does would
                    // have the job by now.
                    if !job.needs_fencing || runner.held.iter().any(|held| held.fencing) {
                        return Ok(fit);
                    }
                    lacks_only_fencing = true;
                }
                unmet = runner.capabilities.missing(&unmet).cloned().collect();
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(Fit::None(if lacks_only_fencing {
        vec![]
    } else if unmet.is_empty() {
        job.demands.clone()
    } else {
        unmet
    }))
}

/// The job's concurrency group, if it has reached its limit.
async fn full_group<'a>(state: &AppState, job: &'a QueuedJob) -> Result<Option<&'a str>, ApiError> {
    let Some(Concurrency { group, limit, .. }) = &job.concurrency else { return Ok(None) };
    let running = job_queue::running_of_group(&state.read_models, group).await?;
    Ok((running >= u64::from(*limit)).then_some(group))
}
