//! Builds the events that end an attempt.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use rivet_events::job::{
    JobCancelled, JobCompleted, JobEvent, JobRequeued, JobResult, JobStatus, JobTimedOut, RequeueCause,
};

use crate::domain::job::command::Retries;
use crate::domain::job::state::{Queued, Running};

/// The backoff before a retry; `None` if no retry may follow, or none is left.
pub(super) fn retry(running: &Running, retries: Retries) -> Option<Duration> {
    let used = running.history.retries;
    retries.backoff(used).filter(|_| used < running.launch.max_retries)
}

pub(super) fn completed(
    running: &Running,
    status: JobStatus,
    result: Option<JobResult>,
    reason: Option<String>,
    now: DateTime<Utc>,
) -> JobEvent {
    JobEvent::Completed(JobCompleted {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: running.holder.runner_id.clone(),
        attempt: running.holder.attempt,
        status,
        result,
        reason,
        completed_at: now,
    })
}

pub(super) fn requeued(
    running: &Running,
    cause: RequeueCause,
    result: Option<JobResult>,
    backoff: Duration,
    now: DateTime<Utc>,
) -> JobEvent {
    // A lost holder that does not fence may come back, and then cannot be told from the next holder. So from then on
    // every attempt needs a holder that fences, unless the pipeline allows otherwise.
    let unfenced_loss = cause == RequeueCause::RunnerLost && !running.holder.fencing;
    let needs_fencing =
        running.history.needs_fencing || (unfenced_loss && !running.launch.retry_on_runner_lost);
    JobEvent::Requeued(JobRequeued {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: running.holder.runner_id.clone(),
        attempt: running.holder.attempt,
        cause,
        result,
        needs_fencing,
        // Stores keep microseconds.
        due_at: (now + backoff).trunc_subsecs(6),
        requeued_at: now,
    })
}

pub(super) fn cancelled_queued(queued: &Queued, reason: Option<String>, now: DateTime<Utc>) -> JobEvent {
    JobEvent::Cancelled(JobCancelled {
        job_id: queued.launch.job_id,
        pipeline_id: queued.launch.pipeline_id,
        runner_id: None,
        attempt: queued.history.attempts,
        result: None,
        reason,
        cancelled_at: now,
    })
}

pub(super) fn cancelled_running(
    running: &Running,
    result: Option<JobResult>,
    reason: Option<String>,
    now: DateTime<Utc>,
) -> JobEvent {
    JobEvent::Cancelled(JobCancelled {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: Some(running.holder.runner_id.clone()),
        attempt: running.holder.attempt,
        result,
        reason,
        cancelled_at: now,
    })
}

pub(super) fn timed_out_running(
    running: &Running,
    result: Option<JobResult>,
    reason: String,
    now: DateTime<Utc>,
) -> JobEvent {
    JobEvent::TimedOut(JobTimedOut {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: Some(running.holder.runner_id.clone()),
        attempt: running.holder.attempt,
        result,
        reason,
        timed_out_at: now,
    })
}
