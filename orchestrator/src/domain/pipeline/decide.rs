//! The rules of a pipeline.

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::{
    PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};

use super::command::PipelineCommand;
use super::state::PipelineState;

/// Why a command to a pipeline was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// There is no such pipeline, or it was deleted.
    #[error("there is no such pipeline")]
    NotFound,
    /// The id is taken.
    #[error("the pipeline exists already")]
    Exists,
    /// The pipeline never had this version.
    #[error("the pipeline has no version {0}")]
    NoVersion(u32),
    /// The pipeline is not at the expected version: it was revised meanwhile.
    #[error("the pipeline is at version {current}, not {expected}")]
    Changed {
        /// The expected version.
        expected: u32,
        /// The current one.
        current: u32,
    },
}

/// Decides a command: returns the events to record, or why it is refused. No events means that what is asked is
/// already so.
pub(super) fn decide(
    state: &PipelineState,
    command: PipelineCommand,
) -> Result<Vec<PipelineEvent>, PipelineError> {
    match (state.pipeline_id, command) {
        (None, PipelineCommand::Create(create)) => Ok(vec![PipelineEvent::Created(PipelineCreated {
            pipeline_id: create.pipeline_id,
            definition: *create.definition,
            created_at: create.now,
        })]),
        (Some(_), PipelineCommand::Create(_)) => Err(PipelineError::Exists),
        (Some(pipeline_id), PipelineCommand::Revise(revise)) if !state.deleted => {
            let events = revised(state, pipeline_id, *revise.definition, None, revise.now);
            let current = state.current().map_or(0, |(number, _)| number);
            match revise.expected {
                // If nothing would change, the expected version does not matter: this may be the same command, sent
                // again.
                Some(expected) if expected != current && !events.is_empty() => {
                    Err(PipelineError::Changed { expected, current })
                }
                Some(_) | None => Ok(events),
            }
        }
        (Some(pipeline_id), PipelineCommand::RollBack(roll_back)) if !state.deleted => {
            let number = roll_back.version;
            let version = state.version(number).ok_or(PipelineError::NoVersion(number))?;
            let definition = PipelineDefinition::clone(&version.definition);
            Ok(revised(state, pipeline_id, definition, Some(number), roll_back.now))
        }
        (Some(pipeline_id), PipelineCommand::Delete(delete)) if !state.deleted => {
            Ok(vec![PipelineEvent::Deleted(PipelineDeleted { pipeline_id, deleted_at: delete.now })])
        }
        (_, PipelineCommand::Revise(_) | PipelineCommand::RollBack(_) | PipelineCommand::Delete(_)) => {
            Err(PipelineError::NotFound)
        }
    }
}

/// The event that adds the next version; none if it would equal the current one.
fn revised(
    state: &PipelineState,
    pipeline_id: PipelineId,
    definition: PipelineDefinition,
    restores: Option<u32>,
    now: DateTime<Utc>,
) -> Vec<PipelineEvent> {
    if state.current().is_some_and(|(_, current)| **current == definition) {
        return vec![];
    }
    vec![PipelineEvent::Revised(PipelineRevised {
        pipeline_id,
        version: u32::try_from(state.versions.len()).unwrap_or(u32::MAX).saturating_add(1),
        definition,
        restores,
        revised_at: now,
    })]
}
