//! How the server ends an attempt or a job without a report: by a cancel, a lost holder, or a deadline.

use std::time::Duration;

use rivet_events::job::{
    ExpiryCause, JobCancelRequested, JobEvent, JobLeaseExpired, JobStatus, JobTimedOut, RequeueCause,
};
use rivet_events::{elapsed, is_mistaken};

use super::JobError;
use super::outcome::{cancelled_running, completed, requeued, retry, timed_out_running};
use crate::domain::job::command::{CancelJob, ExpireLease, Retries, TimeOutJob};
use crate::domain::job::state::{Ended, Queued, Running};

/// The `reason` of a job that failed because its holders were lost.
const RUNNER_LOST: &str = "runner_lost";

/// Ends the job if its holder is silent, or if the cancel is forced and was first requested longer than the grace
/// ago. Otherwise records the request, unless it is known; the holder learns of it at its next contact.
pub(super) fn cancel_running(running: &Running, cancel: CancelJob) -> Vec<JobEvent> {
    let heard = running.holder.last_heard(cancel.last_contact);
    let silent = elapsed(heard, cancel.now) > cancel.grace;
    let (asked_before, forced) = match &running.cancel {
        Some(request) => {
            let asked_before = is_mistaken(request.requested_at, cancel.now)
                || elapsed(request.requested_at, cancel.now) > cancel.grace;
            (asked_before, request.force || cancel.force)
        }
        None => (false, cancel.force),
    };
    let reason = cancel.reason.or_else(|| running.cancel.as_ref().and_then(|request| request.reason.clone()));
    if silent || (asked_before && forced) {
        return vec![cancelled_running(running, None, reason, cancel.now)];
    }
    if running.cancel.as_ref().is_some_and(|request| request.force == forced) {
        return vec![];
    }
    vec![JobEvent::CancelRequested(JobCancelRequested {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: running.holder.runner_id.clone(),
        reason,
        force: forced,
        requested_at: cancel.now,
    })]
}

pub(super) fn cancel_ended(ended: &Ended) -> Result<Vec<JobEvent>, JobError> {
    if ended.status == JobStatus::Cancelled { Ok(vec![]) } else { Err(JobError::AlreadyEnded(ended.status)) }
}

/// Expires the lease if the holder is lost, and decides what follows: cancelled if that was requested; else queued
/// again if a further attempt is allowed; else failed. A loss counts as a retry only for a holder that does not
/// fence.
pub(super) fn expire_lease(running: &Running, expire: &ExpireLease) -> Vec<JobEvent> {
    let holder = &running.holder;
    if expire.lease_id != holder.lease_id {
        return vec![];
    }
    let policy = &expire.policy;
    let (lease, start_timeout) = if holder.fencing {
        (policy.lease, policy.start_timeout)
    } else {
        (policy.legacy_lease, policy.legacy_start_timeout)
    };
    let silence = elapsed(holder.last_heard(expire.last_contact), expire.now);
    let cause = if expire.rebooted {
        ExpiryCause::Rebooted
    } else if holder.started_at.is_none() && elapsed(holder.claimed_at, expire.now) > start_timeout {
        ExpiryCause::NotStarted
    } else if silence > lease {
        ExpiryCause::Silent
    } else {
        return vec![];
    };
    let fate = if let Some(request) = &running.cancel {
        cancelled_running(running, None, request.reason.clone(), expire.now)
    } else if let Some(backoff) = retry_after_loss(running, expire) {
        requeued(running, RequeueCause::RunnerLost, None, backoff, expire.now)
    } else {
        completed(running, JobStatus::Failed, None, Some(RUNNER_LOST.to_owned()), expire.now)
    };
    let expired = JobEvent::LeaseExpired(JobLeaseExpired {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: holder.runner_id.clone(),
        attempt: holder.attempt,
        lease_id: holder.lease_id,
        cause,
        expired_at: expire.now,
    });
    vec![expired, fate]
}

/// The backoff before the attempt that follows a lost one; `None` if none may follow. That of a holder that fences is
/// bounded by the losses in a row instead of the retries, and needs no backoff.
fn retry_after_loss(running: &Running, expire: &ExpireLease) -> Option<Duration> {
    match expire.retries {
        Retries::Allowed { .. } if running.holder.fencing => {
            let lost_in_a_row = running.history.lost_in_a_row + 1;
            (lost_in_a_row < expire.policy.max_lost_attempts).then_some(Duration::ZERO)
        }
        Retries::Allowed { .. } | Retries::Forbidden => retry(running, expire.retries),
    }
}

pub(super) fn time_out_queued(queued: &Queued, time_out: &TimeOutJob) -> Vec<JobEvent> {
    if elapsed(queued.queued_at, time_out.now) <= time_out.queue_timeout {
        return vec![];
    }
    vec![JobEvent::TimedOut(JobTimedOut {
        job_id: queued.launch.job_id,
        pipeline_id: queued.launch.pipeline_id,
        runner_id: None,
        attempt: queued.history.attempts,
        result: None,
        reason: format!("no runner took it within {} s", time_out.queue_timeout.as_secs()),
        timed_out_at: time_out.now,
    })]
}

pub(super) fn time_out_running(running: &Running, time_out: &TimeOutJob) -> Vec<JobEvent> {
    let longest = longest_run(running.launch.timeout_seconds, time_out.run_timeout);
    if elapsed(running.holder.claimed_at, time_out.now) <= longest {
        return vec![];
    }
    let reason = format!("it ran for longer than {} s", longest.as_secs());
    let retry = retry(running, time_out.retries).filter(|_| running.cancel.is_none());
    vec![match retry {
        Some(backoff) => requeued(running, RequeueCause::RunTimeout, None, backoff, time_out.now),
        None => timed_out_running(running, None, reason, time_out.now),
    }]
}

/// How long an attempt may run: the timeout of its pipeline, or else the server's `run_timeout`.
#[must_use]
pub fn longest_run(timeout_seconds: Option<u64>, run_timeout: Duration) -> Duration {
    timeout_seconds.map_or(run_timeout, Duration::from_secs)
}
