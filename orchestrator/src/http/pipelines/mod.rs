//! Pipelines: checked, created, revised, rolled back, read in all their versions, deleted.

mod body;
pub(super) mod check;
pub(super) mod create;
mod define;
pub(super) mod delete;
pub(super) mod diff;
mod entity_tag;
pub(super) mod get;
mod history;
pub(super) mod list;
pub(super) mod revise;
pub(super) mod roll_back;
pub(super) mod versions;

use rivet_events::id::PipelineId;

use super::answer::Recorded;
use super::error::ApiError;
use super::state::{AppState, unknown_pipeline};
use crate::commands::Committed;
use crate::domain::pipeline::PipelineState;
use body::Pipeline;
use entity_tag::Tagged;

/// The answer to a command: the pipeline after it.
async fn recorded(
    state: &AppState,
    id: PipelineId,
    committed: &Committed<PipelineState>,
) -> Result<Recorded<Tagged>, ApiError> {
    let pipeline = Pipeline::from_state(&committed.state).ok_or_else(|| unknown_pipeline(id))?;
    Ok(Recorded(state.position_of(committed).await?, Tagged(pipeline)))
}
