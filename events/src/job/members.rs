//! What events of a job have in common, whatever their payloads call it.

use chrono::{DateTime, Utc};

use super::{JobEvent, JobResult, JobStatus};
use crate::id::{PipelineId, RunnerId};

/// How a job ended, in whatever way.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// A terminal status.
    pub status: JobStatus,
    /// The holder, if it was running.
    pub runner_id: Option<&'a RunnerId>,
    /// What the holder reported, if that ended it.
    pub result: Option<&'a JobResult>,
    /// Why.
    pub reason: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

impl JobEvent {
    /// How the job ended, if this event ends it.
    #[must_use]
    pub fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Completed(completed) => Some(Ending {
                status: completed.status,
                runner_id: Some(&completed.runner_id),
                result: completed.result.as_ref(),
                reason: completed.reason.as_deref(),
                at: completed.completed_at,
            }),
            Self::Cancelled(cancelled) => Some(Ending {
                status: JobStatus::Cancelled,
                runner_id: cancelled.runner_id.as_ref(),
                result: cancelled.result.as_ref(),
                reason: cancelled.reason.as_deref(),
                at: cancelled.cancelled_at,
            }),
            Self::TimedOut(timed_out) => Some(Ending {
                status: JobStatus::TimedOut,
                runner_id: timed_out.runner_id.as_ref(),
                result: timed_out.result.as_ref(),
                reason: Some(&timed_out.reason),
                at: timed_out.timed_out_at,
            }),
            Self::Launched(_)
            | Self::Claimed(_)
            | Self::Started(_)
            | Self::LeaseShown(_)
            | Self::LeaseExpired(_)
            | Self::Requeued(_)
            | Self::CancelRequested(_)
            | Self::ReportRefused(_)
            | Self::Purged(_) => None,
        }
    }

    /// The pipeline that the job runs.
    #[must_use]
    pub fn pipeline_id(&self) -> PipelineId {
        match self {
            Self::Launched(launched) => launched.pipeline_id,
            Self::Claimed(claimed) => claimed.pipeline_id,
            Self::Started(started) => started.pipeline_id,
            Self::LeaseShown(shown) => shown.pipeline_id,
            Self::LeaseExpired(expired) => expired.pipeline_id,
            Self::Requeued(requeued) => requeued.pipeline_id,
            Self::CancelRequested(requested) => requested.pipeline_id,
            Self::ReportRefused(refused) => refused.pipeline_id,
            Self::Completed(completed) => completed.pipeline_id,
            Self::Cancelled(cancelled) => cancelled.pipeline_id,
            Self::TimedOut(timed_out) => timed_out.pipeline_id,
            Self::Purged(purged) => purged.pipeline_id,
        }
    }

    /// The holder that the event is about; none if the job had no holder, or none that the event names.
    #[must_use]
    pub fn runner_id(&self) -> Option<&RunnerId> {
        match self {
            Self::Launched(_) | Self::ReportRefused(_) | Self::Purged(_) => None,
            Self::Claimed(claimed) => Some(&claimed.runner_id),
            Self::Started(started) => Some(&started.runner_id),
            Self::LeaseShown(shown) => Some(&shown.runner_id),
            Self::LeaseExpired(expired) => Some(&expired.runner_id),
            Self::Requeued(requeued) => Some(&requeued.runner_id),
            Self::CancelRequested(requested) => Some(&requested.runner_id),
            Self::Completed(completed) => Some(&completed.runner_id),
            Self::Cancelled(cancelled) => cancelled.runner_id.as_ref(),
            Self::TimedOut(timed_out) => timed_out.runner_id.as_ref(),
        }
    }
}
