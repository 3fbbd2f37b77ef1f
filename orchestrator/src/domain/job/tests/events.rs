//! What has happened to a job.

use super::*;
use crate::domain::job::fixture::plain_launch;

pub(super) fn launch() -> JobLaunched {
    plain_launch(job(), pipeline(), at(0))
}

pub(super) fn launched() -> JobEvent {
    JobEvent::Launched(launch())
}

pub(super) fn launched_with_retries(max_retries: u32) -> JobEvent {
    JobEvent::Launched(JobLaunched { max_retries, ..launch() })
}

pub(super) fn claim_recorded(attempt: u32, second: i64) -> JobClaimed {
    JobClaimed {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        lease_id: lease(attempt),
        fencing: true,
        request_key: None,
        ready_at: Some(at(0)),
        claimed_at: at(second),
    }
}

/// Claimed by a runner that echoes its lease.
pub(super) fn claimed(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Claimed(claim_recorded(attempt, second))
}

/// Claimed by a runner that knows nothing of leases.
pub(super) fn claimed_unfenced(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Claimed(JobClaimed { fencing: false, ..claim_recorded(attempt, second) })
}

pub(super) fn start_recorded(attempt: u32, second: i64) -> JobStarted {
    JobStarted {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        fencing: true,
        started_at: at(second),
    }
}

pub(super) fn started(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Started(start_recorded(attempt, second))
}

pub(super) fn started_unfenced(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Started(JobStarted { fencing: false, ..start_recorded(attempt, second) })
}

/// Known to echo its lease.
pub(super) fn shown(attempt: u32, second: i64) -> JobEvent {
    JobEvent::LeaseShown(JobLeaseShown {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        shown_at: at(second),
    })
}

pub(super) fn expired(attempt: u32, cause: ExpiryCause, second: i64) -> JobEvent {
    JobEvent::LeaseExpired(JobLeaseExpired {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        lease_id: lease(attempt),
        cause,
        expired_at: at(second),
    })
}

pub(super) fn requeue_recorded(attempt: u32, cause: RequeueCause, second: i64) -> JobRequeued {
    JobRequeued {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        cause,
        result: None,
        needs_fencing: false,
        due_at: at(second),
        requeued_at: at(second),
    }
}

/// Back in the queue after a reported failure, due a second later.
pub(super) fn requeued_failed(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Requeued(JobRequeued {
        result: Some(result(1)),
        due_at: at(second + 1),
        ..requeue_recorded(attempt, RequeueCause::Failed, second)
    })
}

/// Back in the queue at once: its holder was lost.
pub(super) fn requeued_lost(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Requeued(requeue_recorded(attempt, RequeueCause::RunnerLost, second))
}

pub(super) fn end_recorded(attempt: u32, status: JobStatus, second: i64) -> JobCompleted {
    JobCompleted {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(attempt),
        attempt,
        status,
        result: None,
        reason: None,
        completed_at: at(second),
    }
}

pub(super) fn succeeded(attempt: u32, second: i64) -> JobEvent {
    JobEvent::Completed(JobCompleted {
        result: Some(result(0)),
        ..end_recorded(attempt, JobStatus::Succeeded, second)
    })
}

pub(super) fn failed_for(reason: &str, attempt: u32, second: i64) -> JobEvent {
    JobEvent::Completed(JobCompleted {
        reason: Some(reason.to_owned()),
        ..end_recorded(attempt, JobStatus::Failed, second)
    })
}

pub(super) fn cancel_requested(second: i64) -> JobCancelRequested {
    JobCancelRequested {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: runner(1),
        reason: Some("unwanted".to_owned()),
        force: false,
        requested_at: at(second),
    }
}

/// Cancelled under attempt 1, with nothing reported.
pub(super) fn cancelled(second: i64) -> JobCancelled {
    JobCancelled {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: Some(runner(1)),
        attempt: 1,
        result: None,
        reason: Some("unwanted".to_owned()),
        cancelled_at: at(second),
    }
}

pub(super) fn timed_out(attempt: u32, reason: &str, second: i64) -> JobTimedOut {
    JobTimedOut {
        job_id: job(),
        pipeline_id: pipeline(),
        runner_id: Some(runner(attempt)),
        attempt,
        result: None,
        reason: reason.to_owned(),
        timed_out_at: at(second),
    }
}

pub(super) fn refused(attempt: u32, second: i64) -> JobEvent {
    JobEvent::ReportRefused(JobReportRefused {
        job_id: job(),
        pipeline_id: pipeline(),
        lease_id: lease(attempt),
        status: JobStatus::Succeeded,
        result: Some(result(0)),
        refused_at: at(second),
    })
}

/// Purged, a while after it timed out.
pub(super) fn purged(second: i64) -> JobEvent {
    JobEvent::Purged(JobPurged {
        job_id: job(),
        pipeline_id: pipeline(),
        status: JobStatus::TimedOut,
        purged_at: at(second),
    })
}
