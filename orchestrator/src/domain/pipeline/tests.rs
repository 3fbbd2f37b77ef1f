//! The rules of a pipeline, as given, when, then. Times are seconds.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::{
    PipelineConfig, PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};
use uuid::Uuid;

use super::{
    CreatePipeline, DeletePipeline, PipelineCommand, PipelineError, PipelineState, RevisePipeline,
    RollBackPipeline,
};
use crate::domain::Decider;
use crate::domain::spec::Given;

fn given(events: impl Into<Vec<PipelineEvent>>) -> Given<PipelineState> {
    crate::domain::spec::given(events)
}

fn state_after(events: impl IntoIterator<Item = PipelineEvent>) -> PipelineState {
    events.into_iter().fold(PipelineState::default(), PipelineState::evolve)
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn pipeline() -> PipelineId {
    Uuid::from_u128(2).into()
}

fn definition(name: &str) -> PipelineDefinition {
    PipelineDefinition {
        name: name.to_owned(),
        description: None,
        script: "return {}".to_owned(),
        tags: vec![],
        required_modules: vec![],
        demands: vec![],
        inputs: BTreeMap::new(),
        config: PipelineConfig::default(),
    }
}

fn created() -> PipelineEvent {
    PipelineEvent::Created(PipelineCreated {
        pipeline_id: pipeline(),
        definition: definition("one"),
        created_at: at(0),
    })
}

fn revised(version: u32, name: &str) -> PipelineEvent {
    PipelineEvent::Revised(PipelineRevised {
        pipeline_id: pipeline(),
        version,
        definition: definition(name),
        restores: None,
        revised_at: at(version.into()),
    })
}

fn deleted() -> PipelineEvent {
    PipelineEvent::Deleted(PipelineDeleted { pipeline_id: pipeline(), deleted_at: at(9) })
}

fn create() -> PipelineCommand {
    PipelineCommand::Create(CreatePipeline {
        pipeline_id: pipeline(),
        definition: Box::new(definition("one")),
        now: at(0),
    })
}

fn revise(name: &str, second: i64) -> PipelineCommand {
    let definition = Box::new(definition(name));
    PipelineCommand::Revise(RevisePipeline { definition, expected: None, now: at(second) })
}

fn roll_back(version: u32, name: &str, second: i64) -> PipelineCommand {
    let definition = Some(Box::new(definition(name)));
    PipelineCommand::RollBack(RollBackPipeline { version, definition, expected: None, now: at(second) })
}

fn roll_back_to_none(version: u32) -> PipelineCommand {
    PipelineCommand::RollBack(RollBackPipeline { version, definition: None, expected: None, now: at(10) })
}

fn restored(version: u32, restores: u32, name: &str) -> PipelineEvent {
    let PipelineEvent::Revised(revised) = revised(version, name) else { panic!("a revision") };
    PipelineEvent::Revised(PipelineRevised { restores: Some(restores), ..revised })
}

fn delete() -> PipelineCommand {
    PipelineCommand::Delete(DeletePipeline { expected: None, now: at(9) })
}

#[test]
fn a_pipeline_is_created_once() {
    given([]).when(create()).then([created()]);
    given([created()]).when(create()).then_refused(PipelineError::Exists);
}

#[test]
fn the_id_of_a_deleted_pipeline_stays_taken() {
    given([created(), deleted()]).when(create()).then_refused(PipelineError::Exists);
}

#[test]
fn each_revision_is_the_next_version() {
    given([created()]).when(revise("two", 2)).then([revised(2, "two")]);
    given([created(), revised(2, "two")]).when(revise("three", 3)).then([revised(3, "three")]);
}

#[test]
fn a_revision_that_changes_nothing_is_no_version() {
    given([created()]).when(revise("one", 2)).then_nothing();
    given([created(), revised(2, "two")]).when(revise("two", 3)).then_nothing();
}

#[test]
fn an_earlier_definition_may_come_back_as_a_new_version() {
    given([created(), revised(2, "two")]).when(revise("one", 3)).then([revised(3, "one")]);
}

#[test]
fn a_pipeline_is_deleted_once() {
    given([created()]).when(delete()).then([deleted()]);
    given([created(), deleted()]).when(delete()).then_refused(PipelineError::NotFound);
}

#[test]
fn nothing_can_be_revised_or_deleted_that_is_not_there() {
    for history in [vec![], vec![created(), deleted()]] {
        given(history.clone()).when(revise("two", 2)).then_refused(PipelineError::NotFound);
        given(history).when(delete()).then_refused(PipelineError::NotFound);
    }
}

#[test]
fn a_launch_takes_the_last_version_and_none_of_a_pipeline_that_is_not_there() {
    let current = |events: &[PipelineEvent]| {
        let state = state_after(events.iter().cloned());
        state.current().map(|current| (current.version, current.definition.name.clone()))
    };
    assert_eq!(current(&[]), None);
    assert_eq!(current(&[created()]), Some((1, "one".to_owned())));
    assert_eq!(current(&[created(), revised(2, "two")]), Some((2, "two".to_owned())));
    assert_eq!(current(&[created(), deleted()]), None);
}

#[test]
fn the_newest_version_stays_known_also_of_a_deleted_pipeline() {
    let state = state_after([created(), revised(2, "two"), deleted()]);
    let newest = state.newest().unwrap();
    assert_eq!((newest.version, newest.definition.name.as_str()), (2, "two"));
    assert_eq!((newest.created_at, newest.revised_at), (at(0), at(2)));
}

#[test]
fn what_is_kept_in_memory_does_not_grow_with_each_version() {
    let of_one_version = state_after([created()]).weight();
    let revisions = (2..=100).map(|version| revised(version, "two"));
    let of_many = state_after(std::iter::once(created()).chain(revisions)).weight();
    assert_eq!(of_many, of_one_version);
}

#[test]
fn a_rollback_is_a_version_of_its_own_that_names_the_one_it_brings_back() {
    given([created(), revised(2, "two")]).when(roll_back(1, "one", 3)).then([restored(3, 1, "one")]);
    let back_and_forth = [created(), revised(2, "two"), restored(3, 1, "one")];
    given(back_and_forth).when(roll_back(2, "two", 4)).then([restored(4, 2, "two")]);
}

#[test]
fn a_rollback_to_what_runs_already_is_no_version() {
    given([created(), revised(2, "two")]).when(roll_back(2, "two", 3)).then([]);
    given([created(), revised(2, "two"), restored(3, 1, "one")]).when(roll_back(1, "one", 4)).then([]);
}

#[test]
fn a_rollback_needs_a_version_that_was() {
    for version in [0, 2, u32::MAX] {
        given([created()]).when(roll_back_to_none(version)).then_refused(PipelineError::NoVersion(version));
    }
    for command in [roll_back(1, "one", 10), roll_back_to_none(9)] {
        given([created(), deleted()]).when(command).then_refused(PipelineError::NotFound);
    }
}
