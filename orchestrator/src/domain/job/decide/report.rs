//! The rules of reports: what the holder of a job, or a sender that believes to be it, reports about an attempt.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::elapsed;
use rivet_events::id::LeaseId;
use rivet_events::job::{
    JobEvent, JobLaunched, JobLeaseShown, JobReportRefused, JobStarted, JobStatus, RequeueCause,
};

use super::JobError;
use super::outcome::{cancelled_running, completed, requeued, retry, timed_out_running};
use crate::domain::job::command::{CompleteJob, RefuseReport, Report};
use crate::domain::job::reported::ResultDigest;
use crate::domain::job::state::{Ended, History, JobState, PastAttempt, Queued, Running};

/// Checks that the sender holds the job. Records the first sign of work of the attempt, or that its holder fences, if
/// either is news.
pub(super) fn begin(
    running: &Running,
    lease: Option<LeaseId>,
    now: DateTime<Utc>,
) -> Result<Vec<JobEvent>, JobError> {
    let holder = &running.holder;
    match lease {
        Some(lease) if lease != holder.lease_id => return Err(JobError::LeaseLost),
        None if holder.fencing => return Err(JobError::LeaseLost),
        Some(_) | None => {}
    }
    Ok(match (holder.started_at, lease) {
        (None, _) => vec![JobEvent::Started(JobStarted {
            job_id: running.launch.job_id,
            pipeline_id: running.launch.pipeline_id,
            runner_id: holder.runner_id.clone(),
            attempt: holder.attempt,
            fencing: holder.fencing || lease.is_some(),
            started_at: now,
        })],
        (Some(_), Some(_)) => shown(running, now),
        (Some(_), None) => vec![],
    })
}

/// Records that the holder fences, if that is news. This is no sign of work.
pub(super) fn show_lease(
    running: &Running,
    lease: LeaseId,
    now: DateTime<Utc>,
) -> Result<Vec<JobEvent>, JobError> {
    if lease == running.holder.lease_id { Ok(shown(running, now)) } else { Err(JobError::LeaseLost) }
}

/// The holder has echoed its lease.
fn shown(running: &Running, now: DateTime<Utc>) -> Vec<JobEvent> {
    let holder = &running.holder;
    if holder.fencing {
        return vec![];
    }
    vec![JobEvent::LeaseShown(JobLeaseShown {
        job_id: running.launch.job_id,
        pipeline_id: running.launch.pipeline_id,
        runner_id: holder.runner_id.clone(),
        attempt: holder.attempt,
        shown_at: now,
    })]
}

/// While the job is queued, only a repetition of the last report is accepted, since no runner holds the job.
pub(super) fn complete_queued(queued: &Queued, complete: &CompleteJob) -> Result<Vec<JobEvent>, JobError> {
    if repeats_last(&queued.history, complete.lease, &complete.report) {
        Ok(vec![])
    } else {
        Err(not_held(&queued.history, complete.lease))
    }
}

pub(super) fn complete_running(running: &Running, complete: CompleteJob) -> Result<Vec<JobEvent>, JobError> {
    // Only by its lease can a repeated report of the previous attempt be told from a report of this one.
    if complete.lease.is_some() && repeats_last(&running.history, complete.lease, &complete.report) {
        return Ok(vec![]);
    }
    let mut events = begin(running, complete.lease, complete.now)?;
    events.push(end_attempt(running, complete)?);
    Ok(events)
}

/// The event that ends the attempt as reported: cancelled if that was requested, else queued again if a retry is
/// left.
fn end_attempt(running: &Running, complete: CompleteJob) -> Result<JobEvent, JobError> {
    let CompleteJob { report: Report { status, result }, retries, now, .. } = complete;
    if let Some(request) = &running.cancel {
        return Ok(cancelled_running(running, result, request.reason.clone(), now));
    }
    match (status, retry(running, retries)) {
        (JobStatus::Failed, Some(backoff)) => {
            Ok(requeued(running, RequeueCause::Failed, result, backoff, now))
        }
        (JobStatus::TimedOut, Some(backoff)) => {
            Ok(requeued(running, RequeueCause::RunTimeout, result, backoff, now))
        }
        (JobStatus::Succeeded | JobStatus::Failed, _) => Ok(completed(running, status, result, None, now)),
        (JobStatus::TimedOut, None) => {
            Ok(timed_out_running(running, result, "reported by the runner".to_owned(), now))
        }
        (JobStatus::Cancelled, _) => Ok(cancelled_running(running, result, None, now)),
        (JobStatus::Queued | JobStatus::Running, _) => Err(JobError::NotTerminal(status)),
    }
}

pub(super) fn complete_ended(ended: &Ended, complete: &CompleteJob) -> Result<Vec<JobEvent>, JobError> {
    // The job ended while it was queued: the last report before that may still be repeated.
    if repeats_last(&ended.history, complete.lease, &complete.report) {
        return Ok(vec![]);
    }
    let Report { status, result } = &complete.report;
    // A job with a cancel request ends as cancelled, whatever its holder reported.
    let same_status = ended.status == *status || (ended.status == JobStatus::Cancelled && ended.was_to_stop);
    let refusal = ended_refusal(ended, complete.lease, JobError::AlreadyCompleted(ended.status));
    if refusal != JobError::LeaseLost && same_status && ended.result == ResultDigest::of(result.as_ref()) {
        Ok(vec![])
    } else {
        Err(refusal)
    }
}

fn repeats_last(history: &History, lease: Option<LeaseId>, report: &Report) -> bool {
    history.last().is_some_and(|last| {
        let is_from_its_holder = lease.map_or(!last.fencing, |lease| lease == last.lease_id);
        is_from_its_holder && last.reported.is_some_and(|reported| reported.is_repeated_by(report))
    })
}

/// Why a queued job refuses a write: [`JobError::NotRunning`] if the sender names no lease and the last holder did
/// not fence, else [`JobError::LeaseLost`].
pub(super) fn not_held(history: &History, lease: Option<LeaseId>) -> JobError {
    let unfenced = history.last().is_none_or(|last| !last.fencing);
    if lease.is_none() && unfenced { JobError::NotRunning } else { JobError::LeaseLost }
}

/// Why an ended job refuses a write: [`JobError::LeaseLost`] if the sender was not its last holder, else `otherwise`.
pub(super) fn ended_refusal(ended: &Ended, lease: Option<LeaseId>, otherwise: JobError) -> JobError {
    let last = ended.history.last();
    match lease {
        Some(lease) if last.is_none_or(|last| last.lease_id != lease || last.revoked) => JobError::LeaseLost,
        None if last.is_some_and(|last| last.fencing) => JobError::LeaseLost,
        Some(_) | None => otherwise,
    }
}

pub(super) fn refuse_report(launch: &JobLaunched, history: &History, refused: RefuseReport) -> Vec<JobEvent> {
    // Once for each lease, and only for leases that this job has granted: invented ones cannot fill its history.
    let is_news = |past: &PastAttempt| past.lease_id == refused.lease && !past.was_refused;
    if !history.past.iter().any(is_news) {
        return vec![];
    }
    vec![JobEvent::ReportRefused(JobReportRefused {
        job_id: launch.job_id,
        pipeline_id: launch.pipeline_id,
        lease_id: refused.lease,
        status: refused.report.status,
        result: refused.report.result,
        refused_at: refused.now,
    })]
}

/// The attempt that a log batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAttempt {
    /// Its number.
    pub attempt: u32,
    /// Whether the batch is the first sign of work, or the first sign that the holder fences: then that has to be
    /// recorded too, by a start.
    pub is_news: bool,
}

/// The attempt that a sender writes logs for, and whether that it does so is to be recorded. Logs are accepted for
/// `grace` after the end of the job, since a runner may retry that long to deliver its last lines.
pub(in crate::domain::job) fn log_attempt(
    state: &JobState,
    lease: Option<LeaseId>,
    now: DateTime<Utc>,
    grace: Duration,
) -> Result<LogAttempt, JobError> {
    match state {
        JobState::Absent => Err(JobError::NotFound),
        JobState::Queued(queued) => Err(not_held(&queued.history, lease)),
        JobState::Running(running) => {
            let is_news = !begin(running, lease, now)?.is_empty();
            Ok(LogAttempt { attempt: running.holder.attempt, is_news })
        }
        JobState::Ended(ended) => {
            if ended.history.past.is_empty() {
                Err(JobError::NotRunning)
            } else if ended_refusal(ended, lease, JobError::LogSealed) == JobError::LeaseLost {
                Err(JobError::LeaseLost)
            } else if elapsed(ended.ended_at, now) > grace {
                Err(JobError::LogSealed)
            } else {
                Ok(LogAttempt { attempt: ended.history.attempts, is_news: false })
            }
        }
    }
}
