//! Pipeline events into pipelines.

use rivet_events::pipeline::PipelineEvent;
use rivet_events::{Envelope, Event, StreamType};

use super::Pipeline;
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Pipeline`]s, by pipeline id.
#[derive(Debug)]
pub struct Pipelines;

impl Projection for Pipelines {
    const NAME: &'static str = "pipelines";
    const VERSION: u32 = 1;
    const STREAMS: &'static [StreamType] = &[StreamType::Pipeline];
    const SCHEMA: Schema = Schema {
        columns: &[Column::integer("created_at"), Column::integer("deleted_at")],
        indexes: &[&["created_at", "key"]],
    };
    type Row = Pipeline;

    fn key(envelope: &Envelope) -> Option<String> {
        match &envelope.event {
            Event::Pipeline(_) => Some(envelope.stream.id.clone()),
            Event::Job(_)
            | Event::JobLog(_)
            | Event::Runner(_)
            | Event::Claim(_)
            | Event::Group(_)
            | Event::Projection(_)
            | Event::Webhook(_)
            | Event::Archive(_)
            | Event::Unreadable(_) => None,
        }
    }

    fn apply(row: Option<Pipeline>, envelope: &Envelope) -> Option<Pipeline> {
        match &envelope.event {
            Event::Pipeline(event) => evolve(row, event),
            Event::Job(_)
            | Event::JobLog(_)
            | Event::Runner(_)
            | Event::Claim(_)
            | Event::Group(_)
            | Event::Projection(_)
            | Event::Webhook(_)
            | Event::Archive(_)
            | Event::Unreadable(_) => row,
        }
    }
}

fn evolve(row: Option<Pipeline>, event: &PipelineEvent) -> Option<Pipeline> {
    match event {
        PipelineEvent::Created(created) => Some(Pipeline {
            id: created.pipeline_id,
            version: 1,
            created_at: created.created_at,
            updated_at: created.created_at,
            deleted_at: None,
            definition: created.definition.clone(),
        }),
        PipelineEvent::Revised(revised) => row.map(|pipeline| Pipeline {
            version: revised.version,
            updated_at: revised.revised_at,
            definition: revised.definition.clone(),
            ..pipeline
        }),
        PipelineEvent::Deleted(deleted) => {
            row.map(|pipeline| Pipeline { deleted_at: Some(deleted.deleted_at), ..pipeline })
        }
    }
}
