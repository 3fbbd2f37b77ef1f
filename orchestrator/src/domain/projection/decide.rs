//! The rules for decisions about a read model: an event is skipped once and for good.

use rivet_events::projection::{
    ProjectionEvent, ProjectionEventSkipped, ProjectionRebuildRequested, ProjectionStreamRetried,
};

use super::command::{ProjectionCommand, RebuildProjection, RetryStream, SkipEvent};
use super::state::ProjectionState;

/// Why a command to a read model was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProjectionError {
    /// The event cannot be retried: it has been skipped for good.
    #[error("the event at position {0} is skipped already")]
    Skipped(rivet_events::Position),
}

/// Decides a command: returns the events to record, or why it is refused. No events means that what is asked is
/// already so.
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
