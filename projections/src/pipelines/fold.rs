//! Folds pipeline events into pipelines.

use rivet_events::pipeline::PipelineEvent;
use rivet_events::{Envelope, Event, StreamType};

use super::Pipeline;
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Pipeline`]s, by pipeline id.
#[derive(Debug)]
pub(crate) struct Pipelines;

impl Projection for Pipelines {
    const NAME: &'static str = "pipelines";
    const VERSION: u32 = 1;
    const STREAMS: &'static [StreamType] = &[StreamType::Pipeline];
    const SCHEMA: Schema = Schema {
        columns: &[Column::integer("created_at"), Column::integer("deleted_at")],
        indexes: &[&["created_at", "key"]],
    };
    type Row = Pipeline;

    fn apply(row: Option<Pipeline>, envelope: &Envelope) -> Option<Pipeline> {
        let Event::Pipeline(event) = &envelope.event else { return row };
        evolve(row, event)
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
