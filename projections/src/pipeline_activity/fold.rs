//! Folds job events into counts, and pipeline events into the names beside them.

use rivet_events::id::PipelineId;
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
    let (from, to) = match event {
        JobEvent::Launched(_) => (None, Some(JobStatus::Queued)),
        JobEvent::Claimed(_) => (Some(JobStatus::Queued), Some(JobStatus::Running)),
        JobEvent::Requeued(_) => (Some(JobStatus::Running), Some(JobStatus::Queued)),
        JobEvent::Completed(_) | JobEvent::Cancelled(_) | JobEvent::TimedOut(_) => {
            let ending = event.ending()?;
            let from = if ending.runner_id.is_some() { JobStatus::Running } else { JobStatus::Queued };
            (Some(from), Some(ending.status))
        }
        JobEvent::Purged(purged) => (Some(purged.status), None),
        JobEvent::Started(_)
        | JobEvent::LeaseShown(_)
        | JobEvent::LeaseExpired(_)
        | JobEvent::CancelRequested(_)
        | JobEvent::ReportRefused(_) => return None,
    };
    Some(Transition { pipeline_id: event.pipeline_id(), from, to })
}
