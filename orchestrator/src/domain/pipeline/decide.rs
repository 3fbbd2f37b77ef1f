//! The rules of a pipeline.

use rivet_events::pipeline::{PipelineCreated, PipelineDeleted, PipelineEvent, PipelineRevised};

use super::command::PipelineCommand;
use super::state::PipelineState;

/// Why a command to a pipeline was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// It never was, or was deleted.
    #[error("there is no such pipeline")]
    NotFound,
    /// The id is taken.
    #[error("the pipeline exists already")]
    Exists,
}

/// The events that a command leads to, or why it is refused. None means that what is asked is already so.
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
            let unchanged = state.current().is_some_and(|(_, definition)| **definition == *revise.definition);
            if unchanged {
                return Ok(vec![]);
            }
            Ok(vec![PipelineEvent::Revised(PipelineRevised {
                pipeline_id,
                version: u32::try_from(state.versions.len()).unwrap_or(u32::MAX).saturating_add(1),
                definition: *revise.definition,
                revised_at: revise.now,
            })])
        }
        (Some(pipeline_id), PipelineCommand::Delete(delete)) if !state.deleted => {
            Ok(vec![PipelineEvent::Deleted(PipelineDeleted { pipeline_id, deleted_at: delete.now })])
        }
        (_, PipelineCommand::Revise(_) | PipelineCommand::Delete(_)) => Err(PipelineError::NotFound),
    }
}
