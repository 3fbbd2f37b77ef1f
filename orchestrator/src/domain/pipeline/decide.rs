//! The rules of a pipeline.

use chrono::{DateTime, Utc};
use rivet_events::pipeline::{
    PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};

use super::command::{PipelineCommand, RollBackPipeline};
use super::state::{PipelineState, Revision};

/// Why a command to a pipeline was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PipelineError {
    /// There is no such pipeline, or it was deleted.
    #[error("there is no such pipeline")]
    NotFound,
    /// The id is taken.
    #[error("the pipeline exists already")]
    Exists,
    /// The pipeline never had this version.
    #[error("the pipeline has no version {0}")]
    NoVersion(u32),
    /// The pipeline is at this version, which is not an expected one: it was revised meanwhile.
    #[error("the pipeline is at version {0}, which the request does not expect")]
    Changed(u32),
}

/// Decides a command: returns the events to record, or why it is refused. No events means that what is asked is
/// already so.
pub(super) fn decide(
    state: &PipelineState,
    command: PipelineCommand,
) -> Result<Vec<PipelineEvent>, PipelineError> {
    match (state, command) {
        (PipelineState::Absent, PipelineCommand::Create(create)) => {
            Ok(vec![PipelineEvent::Created(PipelineCreated {
                pipeline_id: create.pipeline_id,
                definition: *create.definition,
                created_at: create.now,
            })])
        }
        (PipelineState::Current(_) | PipelineState::Deleted(_), PipelineCommand::Create(_)) => {
            Err(PipelineError::Exists)
        }
        (PipelineState::Current(current), PipelineCommand::Revise(revise)) => {
            revised(current, *revise.definition, None, revise.expected.as_deref(), revise.now)
        }
        (PipelineState::Current(current), PipelineCommand::RollBack(roll_back)) => {
            let RollBackPipeline { version, definition, expected, now } = roll_back;
            let definition = definition.ok_or(PipelineError::NoVersion(version))?;
            revised(current, *definition, Some(version), expected.as_deref(), now)
        }
        (PipelineState::Current(current), PipelineCommand::Delete(delete)) => {
            expect_version(current, delete.expected.as_deref())?;
            Ok(vec![PipelineEvent::Deleted(PipelineDeleted {
                pipeline_id: current.pipeline_id,
                deleted_at: delete.now,
            })])
        }
        (
            PipelineState::Absent | PipelineState::Deleted(_),
            PipelineCommand::Revise(_) | PipelineCommand::RollBack(_) | PipelineCommand::Delete(_),
        ) => Err(PipelineError::NotFound),
    }
}

/// The event that adds the next version; none if it would equal the current one. Then the current version does not
/// matter: this may be the same command, sent again.
fn revised(
    current: &Revision,
    definition: PipelineDefinition,
    restores: Option<u32>,
    expected: Option<&[u32]>,
    now: DateTime<Utc>,
) -> Result<Vec<PipelineEvent>, PipelineError> {
    if *current.definition == definition {
        return Ok(vec![]);
    }
    expect_version(current, expected)?;
    Ok(vec![PipelineEvent::Revised(PipelineRevised {
        pipeline_id: current.pipeline_id,
        version: current.version.saturating_add(1),
        definition,
        restores,
        revised_at: now,
    })])
}

/// Refuses a command that was meant for another version than the current one.
fn expect_version(current: &Revision, expected: Option<&[u32]>) -> Result<(), PipelineError> {
    if expected.is_none_or(|versions| versions.contains(&current.version)) {
        Ok(())
    } else {
        Err(PipelineError::Changed(current.version))
    }
}
