//! Folds job events into jobs.

use rivet_events::job::{Ending, JobEvent, JobLaunched, JobStatus};
use rivet_events::{Envelope, Event, StreamType, Version};

use super::{CancelRequest, Job, JobPhase};
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Job`]s, by job id.
#[derive(Debug)]
pub struct Jobs;

impl Projection for Jobs {
    const NAME: &'static str = "jobs";
    const VERSION: u32 = 3;
    const STREAMS: &'static [StreamType] = &[StreamType::Job];
    const SCHEMA: Schema = Schema {
        columns: &[
            Column::text("status"),
            Column::text("pipeline_id"),
            Column::text("runner_id"),
            Column::integer("requested_at"),
        ],
        indexes: &[
            &["requested_at", "key"],
            &["status", "requested_at", "key"],
            &["pipeline_id", "requested_at", "key"],
            &["runner_id", "requested_at", "key"],
            // The last eight characters of an id, by which the search finds a job.
            &["substr(key, 29)"],
        ],
    };
    type Row = Job;

    fn begins(envelope: &Envelope) -> bool {
        envelope.sequence == Version(1)
    }

    fn apply(row: Option<Job>, envelope: &Envelope) -> Option<Job> {
        let Event::Job(event) = &envelope.event else { return row };
        evolve(row, event)
    }
}

fn launch(launched: &JobLaunched) -> Job {
    Job {
        id: launched.job_id,
        pipeline_id: launched.pipeline_id,
        pipeline_version: launched.pipeline_version,
        status: JobStatus::Queued,
        phase: JobPhase::Queued,
        requested_at: launched.requested_at,
        queued_at: launched.requested_at,
        due_at: None,
        claimed_at: None,
        started_at: None,
        completed_at: None,
        runner_id: None,
        attempt: 0,
        lease_id: None,
        fencing: false,
        cancel: None,
        priority: launched.priority,
        timeout_seconds: launched.timeout_seconds,
        retry_of: launched.retry_of,
        reason: None,
        result: None,
        parameters: launched.parameters.clone(),
    }
}

fn evolve(row: Option<Job>, event: &JobEvent) -> Option<Job> {
    match event {
        JobEvent::Launched(launched) => Some(launch(launched)),
        JobEvent::Claimed(claimed) => row.map(|job| Job {
            status: JobStatus::Running,
            phase: JobPhase::Claimed,
            runner_id: Some(claimed.runner_id.clone()),
            attempt: claimed.attempt,
            lease_id: Some(claimed.lease_id),
            fencing: claimed.fencing,
            claimed_at: Some(claimed.claimed_at),
            started_at: None,
            due_at: None,
            cancel: None,
            ..job
        }),
        JobEvent::Started(started) => row.map(|job| Job {
            phase: if job.cancel.is_some() { JobPhase::Cancelling } else { JobPhase::Started },
            fencing: started.fencing,
            started_at: Some(started.started_at),
            ..job
        }),
        JobEvent::LeaseShown(_) => row.map(|job| Job { fencing: true, ..job }),
        JobEvent::LeaseExpired(_) => row.map(|job| Job { lease_id: None, ..job }),
        JobEvent::Requeued(requeued) => row.map(|job| Job {
            status: JobStatus::Queued,
            phase: if requeued.due_at > requeued.requeued_at { JobPhase::Backoff } else { JobPhase::Queued },
            queued_at: requeued.requeued_at,
            due_at: Some(requeued.due_at),
            runner_id: None,
            lease_id: None,
            fencing: false,
            claimed_at: None,
            started_at: None,
            cancel: None,
            ..job
        }),
        JobEvent::CancelRequested(request) => row.map(|job| {
            let cancel = match job.cancel {
                Some(first) => CancelRequest { force: first.force || request.force, ..first },
                None => CancelRequest { requested_at: request.requested_at, force: request.force },
            };
            Job { phase: JobPhase::Cancelling, cancel: Some(cancel), ..job }
        }),
        JobEvent::ReportRefused(_) => row,
        JobEvent::Purged(_) => None,
        JobEvent::Completed(_) | JobEvent::Cancelled(_) | JobEvent::TimedOut(_) => {
            row.zip(event.ending()).map(|(job, ending)| end(job, &ending))
        }
    }
}

fn end(job: Job, ending: &Ending<'_>) -> Job {
    Job {
        status: ending.status,
        phase: JobPhase::Ended,
        completed_at: Some(ending.at),
        runner_id: ending.runner_id.cloned().or(job.runner_id),
        lease_id: None,
        due_at: None,
        cancel: None,
        result: ending.result.cloned(),
        reason: ending.reason.map(str::to_owned),
        ..job
    }
}
