//! The events of one attempt.

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{
    ExpiryCause, JobCancelRequested, JobCancelled, JobClaimed, JobCompleted, JobEvent, JobLeaseExpired,
    JobLeaseShown, JobReportRefused, JobRequeued, JobResult, JobStarted, JobStatus, JobTimedOut,
    RequeueCause,
};

/// What the events of one attempt have in common.
pub(super) struct Attempt {
    pub(super) job_id: JobId,
    pub(super) pipeline_id: PipelineId,
    pub(super) runner_id: RunnerId,
    pub(super) lease_id: LeaseId,
    pub(super) number: u32,
}

impl Attempt {
    pub(super) fn claimed(&self, fencing: bool, at: DateTime<Utc>) -> JobEvent {
        JobEvent::Claimed(JobClaimed {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt: self.number,
            lease_id: self.lease_id,
            fencing,
            request_key: None,
            ready_at: None,
            claimed_at: at,
        })
    }

    pub(super) fn lease_shown(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::LeaseShown(JobLeaseShown {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt: self.number,
            shown_at: at,
        })
    }

    pub(super) fn started(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::Started(JobStarted {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt: self.number,
            fencing: true,
            started_at: at,
        })
    }

    pub(super) fn report_refused(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::ReportRefused(JobReportRefused {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            lease_id: LeaseId::generate(),
            status: JobStatus::Failed,
            result: Some(result(false)),
            refused_at: at,
        })
    }

    pub(super) fn cancel_requested(&self, force: bool, at: DateTime<Utc>) -> JobEvent {
        JobEvent::CancelRequested(JobCancelRequested {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            reason: None,
            force,
            requested_at: at,
        })
    }

    pub(super) fn cancelled(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::Cancelled(JobCancelled {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: Some(self.runner_id.clone()),
            attempt: self.number,
            result: None,
            reason: Some("asked".to_owned()),
            cancelled_at: at,
        })
    }

    pub(super) fn timed_out(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::TimedOut(JobTimedOut {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: Some(self.runner_id.clone()),
            attempt: self.number,
            result: None,
            reason: "run_timeout".to_owned(),
            timed_out_at: at,
        })
    }

    pub(super) fn lease_expired(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::LeaseExpired(JobLeaseExpired {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt: self.number,
            lease_id: self.lease_id,
            cause: ExpiryCause::Silent,
            expired_at: at,
        })
    }

    pub(super) fn requeued(&self, needs_fencing: bool, at: DateTime<Utc>) -> JobEvent {
        JobEvent::Requeued(JobRequeued {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt: self.number,
            cause: RequeueCause::RunnerLost,
            result: None,
            needs_fencing,
            due_at: at + TimeDelta::seconds(2),
            requeued_at: at,
        })
    }

    pub(super) fn completed(&self, at: DateTime<Utc>) -> JobEvent {
        JobEvent::Completed(JobCompleted {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt: self.number,
            status: JobStatus::Succeeded,
            result: Some(result(true)),
            reason: None,
            completed_at: at,
        })
    }
}

fn result(success: bool) -> JobResult {
    JobResult { success, exit_code: i32::from(!success), output: Some("\0".into()), error_message: None }
}
