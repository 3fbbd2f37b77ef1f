//! Folds the events that begin or end a stream into lifetimes.

use rivet_events::job::JobEvent;
use rivet_events::pipeline::PipelineEvent;
use rivet_events::runner::RunnerEvent;
use rivet_events::{Envelope, Event, StreamType, Version};

use super::{Lifetime, node_of};
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Lifetime`]s, by stream.
#[derive(Debug)]
pub(crate) struct Lifetimes;

impl Projection for Lifetimes {
    const NAME: &'static str = "lifetimes";
    const VERSION: u32 = 1;
    const STREAMS: &'static [StreamType] = &[StreamType::Pipeline, StreamType::Job, StreamType::Runner];
    const SCHEMA: Schema = Schema {
        columns: &[
            Column::text("kind"),
            Column::integer("born"),
            Column::integer("ended"),
            Column::integer("node"),
        ],
        indexes: &[&["kind", "node", "born"], &["kind", "node", "ended"]],
    };
    type Row = Lifetime;

    fn key(envelope: &Envelope) -> Option<String> {
        boundary(&envelope.event).map(|_| envelope.stream.to_string())
    }

    fn begins(envelope: &Envelope) -> bool {
        envelope.sequence == Version(1)
    }

    fn apply(row: Option<Lifetime>, envelope: &Envelope) -> Option<Lifetime> {
        let position = envelope.position.0;
        match (boundary(&envelope.event), row) {
            (Some(Boundary::Begin), Some(row)) => Some(Lifetime { ended: None, node: None, ..row }),
            (Some(Boundary::Begin), None) => Some(Lifetime {
                kind: envelope.stream.kind.as_str().to_owned(),
                id: envelope.stream.id.clone(),
                born: position,
                ended: None,
                node: None,
            }),
            (Some(Boundary::End), Some(row)) => {
                let node = node_of(row.born, position.saturating_sub(1).max(row.born));
                Some(Lifetime { ended: Some(position), node: Some(node), ..row })
            }
            (Some(Boundary::Purge), _) => None,
            (Some(Boundary::End) | None, row) => row,
        }
    }
}

/// What an event means for the lifetime of its stream.
enum Boundary {
    Begin,
    End,
    Purge,
}

fn boundary(event: &Event) -> Option<Boundary> {
    match event {
        Event::Pipeline(PipelineEvent::Created(_))
        | Event::Job(JobEvent::Launched(_))
        | Event::Runner(RunnerEvent::Registered(_)) => Some(Boundary::Begin),
        Event::Pipeline(PipelineEvent::Deleted(_))
        | Event::Job(JobEvent::Completed(_) | JobEvent::Cancelled(_) | JobEvent::TimedOut(_))
        | Event::Runner(RunnerEvent::Removed(_)) => Some(Boundary::End),
        Event::Job(JobEvent::Purged(_)) => Some(Boundary::Purge),
        Event::Pipeline(PipelineEvent::Revised(_))
        | Event::Job(
            JobEvent::Claimed(_)
            | JobEvent::Started(_)
            | JobEvent::LeaseShown(_)
            | JobEvent::LeaseExpired(_)
            | JobEvent::Requeued(_)
            | JobEvent::CancelRequested(_)
            | JobEvent::ReportRefused(_),
        )
        | Event::Runner(
            RunnerEvent::HeartbeatRecorded(_) | RunnerEvent::Lost(_) | RunnerEvent::Returned(_),
        )
        | Event::JobLog(_)
        | Event::Claim(_)
        | Event::Group(_)
        | Event::Projection(_)
        | Event::Webhook(_)
        | Event::Archive(_)
        | Event::Unreadable(_) => None,
    }
}
