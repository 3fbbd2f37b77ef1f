//! Given events, then the pipeline.

use std::collections::BTreeMap;

use rivet_events::Event;
use rivet_events::pipeline::{
    PipelineConfig, PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};

use super::{Pipeline, Pipelines};
use crate::testing::{Scene, at, row_after};

fn pipeline(events: impl IntoIterator<Item = Event>) -> Option<Pipeline> {
    row_after(&Pipelines, &Scene::new(1).pipeline_id, events)
}

fn definition(script: &str) -> PipelineDefinition {
    PipelineDefinition {
        name: "build".to_owned(),
        description: None,
        script: script.to_owned(),
        tags: vec![],
        required_modules: vec![],
        demands: vec![],
        inputs: BTreeMap::new(),
        config: PipelineConfig::default(),
    }
}

fn created() -> Event {
    let pipeline_id = Scene::new(1).pipeline_id;
    let created = PipelineCreated { pipeline_id, definition: definition("return 1"), created_at: at(0) };
    Event::Pipeline(PipelineEvent::Created(created))
}

fn revised() -> Event {
    let pipeline_id = Scene::new(1).pipeline_id;
    let definition = definition("return 2");
    Event::Pipeline(PipelineEvent::Revised(PipelineRevised {
        pipeline_id,
        version: 2,
        definition,
        restores: None,
        revised_at: at(5),
    }))
}

fn deleted() -> Event {
    let pipeline_id = Scene::new(1).pipeline_id;
    Event::Pipeline(PipelineEvent::Deleted(PipelineDeleted { pipeline_id, deleted_at: at(9) }))
}

#[test]
fn a_revised_pipeline_shows_its_new_version_and_its_first_day() {
    let pipeline = pipeline([created(), revised()]).unwrap();
    assert_eq!((pipeline.version, pipeline.created_at, pipeline.updated_at), (2, at(0), at(5)));
    assert_eq!(pipeline.definition.script, "return 2");
}

#[test]
fn a_deleted_pipeline_keeps_its_row() {
    let pipeline = pipeline([created(), deleted()]).unwrap();
    assert_eq!((pipeline.deleted_at, pipeline.version), (Some(at(9)), 1));
}
