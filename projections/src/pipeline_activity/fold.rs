//! Folds job events into counts, and pipeline events into the names beside them.

use rivet_events::id::{PipelineId, RunnerId};
use rivet_events::job::{JobEvent, JobStatus};
use rivet_events::pipeline::PipelineEvent;
use rivet_events::{Envelope, Event, StreamType};

use super::Activity;
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Activity`], by pipeline id.
#[derive(Debug)]
pub(crate) struct PipelineActivity;

impl Projection for PipelineActivity {
    const NAME: &'static str = "pipeline_activity";
    const VERSION: u32 = 2;
    const STREAMS: &'static [StreamType] = &[StreamType::Pipeline, StreamType::Job];
    const SCHEMA: Schema = Schema {
        columns: &[Column::integer("queued"), Column::integer("running"), Column::flag("deleted")],
        indexes: &[&["queued"], &["running"]],
    };
    type Row = Activity;

    fn key(envelope: &Envelope) -> Option<String> {
        if let Event::Job(event) = &envelope.event {
            transition(event).map(|transition| transition.pipeline_id.to_string())
        } else {
            Some(envelope.stream.id.clone())
        }
    }

    fn apply(row: Option<Activity>, envelope: &Envelope) -> Option<Activity> {
        if let Event::Pipeline(event) = &envelope.event {
            describe(row, event)
        } else if let Event::Job(event) = &envelope.event
            && let Some(transition) = transition(event)
        {
            Some(transition.of(row.unwrap_or_else(|| Activity::none(transition.pipeline_id))))
        } else {
            row
        }
    }
}

fn describe(row: Option<Activity>, event: &PipelineEvent) -> Option<Activity> {
    match event {
        PipelineEvent::Created(created) => Some(Activity {
            name: created.definition.name.clone(),
            ..row.unwrap_or_else(|| Activity::none(created.pipeline_id))
        }),
        PipelineEvent::Revised(revised) => {
            row.map(|activity| Activity { name: revised.definition.name.clone(), ..activity })
        }
        PipelineEvent::Deleted(_) => row.map(|activity| Activity { deleted: true, ..activity }),
    }
}

/// A job of a pipeline changes its state. A new job has no state before, and a purged one has none after.
struct Transition {
    pipeline_id: PipelineId,
    from: Option<JobStatus>,
    to: Option<JobStatus>,
}

impl Transition {
    fn of(&self, mut activity: Activity) -> Activity {
        if let Some(from) = self.from {
            let left = count(&mut activity, from);
            *left = left.saturating_sub(1);
        }
        if let Some(to) = self.to {
            *count(&mut activity, to) += 1;
        }
        activity
    }
}

fn count(activity: &mut Activity, status: JobStatus) -> &mut u64 {
    match status {
        JobStatus::Queued => &mut activity.queued,
        JobStatus::Running => &mut activity.running,
        JobStatus::Succeeded => &mut activity.succeeded,
        JobStatus::Failed => &mut activity.failed,
        JobStatus::Cancelled => &mut activity.cancelled,
        JobStatus::TimedOut => &mut activity.timed_out,
    }
}

fn transition(event: &JobEvent) -> Option<Transition> {
    let (pipeline_id, from, to) = match event {
        JobEvent::Launched(launched) => (launched.pipeline_id, None, JobStatus::Queued),
        JobEvent::Claimed(claimed) => (claimed.pipeline_id, Some(JobStatus::Queued), JobStatus::Running),
        JobEvent::Requeued(requeued) => (requeued.pipeline_id, Some(JobStatus::Running), JobStatus::Queued),
        JobEvent::Completed(completed) => (completed.pipeline_id, Some(JobStatus::Running), completed.status),
        JobEvent::Cancelled(cancelled) => {
            (cancelled.pipeline_id, Some(held_or_queued(cancelled.runner_id.as_ref())), JobStatus::Cancelled)
        }
        JobEvent::TimedOut(timed_out) => {
            (timed_out.pipeline_id, Some(held_or_queued(timed_out.runner_id.as_ref())), JobStatus::TimedOut)
        }
        JobEvent::Purged(purged) => {
            return Some(Transition { pipeline_id: purged.pipeline_id, from: Some(purged.status), to: None });
        }
        JobEvent::Started(_)
        | JobEvent::LeaseShown(_)
        | JobEvent::LeaseExpired(_)
        | JobEvent::CancelRequested(_)
        | JobEvent::ReportRefused(_) => return None,
    };
    Some(Transition { pipeline_id, from, to: Some(to) })
}

fn held_or_queued(holder: Option<&RunnerId>) -> JobStatus {
    if holder.is_some() { JobStatus::Running } else { JobStatus::Queued }
}
