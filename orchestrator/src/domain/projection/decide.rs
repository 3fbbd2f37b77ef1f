//! The rules of a read model: what is skipped is skipped once.

use rivet_events::projection::{
    ProjectionEvent, ProjectionEventSkipped, ProjectionRebuildRequested, ProjectionStreamRetried,
};

use super::command::{ProjectionCommand, RebuildProjection, RetryStream, SkipEvent};
use super::state::ProjectionState;

/// Why a command to a read model was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// There is nothing to try: the event is left out for good.
    #[error("the event at position {0} is skipped already")]
    Skipped(rivet_events::Position),
}

/// The events that a command leads to, or why it is refused. None means that what is asked is already so.
pub(super) fn decide(
    state: &ProjectionState,
    command: ProjectionCommand,
) -> Result<Vec<ProjectionEvent>, ProjectionError> {
    match command {
        ProjectionCommand::Rebuild(RebuildProjection { projection, reason, now }) => {
            let requested = ProjectionRebuildRequested { projection, reason, requested_at: now };
            Ok(vec![ProjectionEvent::RebuildRequested(requested)])
        }
        ProjectionCommand::Retry(retry) if state.skipped.contains(&retry.parked.position) => {
            Err(ProjectionError::Skipped(retry.parked.position))
        }
        ProjectionCommand::Retry(RetryStream { parked, reason, now }) => {
            Ok(vec![ProjectionEvent::StreamRetried(ProjectionStreamRetried {
                projection: parked.projection,
                stream: parked.stream.to_string(),
                position: parked.position,
                error: parked.error,
                reason,
                retried_at: now,
            })])
        }
        ProjectionCommand::Skip(skip) if state.skipped.contains(&skip.parked.position) => Ok(vec![]),
        ProjectionCommand::Skip(SkipEvent { parked, reason, now }) => {
            Ok(vec![ProjectionEvent::EventSkipped(ProjectionEventSkipped {
                projection: parked.projection,
                stream: parked.stream.to_string(),
                position: parked.position,
                error: parked.error,
                reason,
                skipped_at: now,
            })])
        }
    }
}
