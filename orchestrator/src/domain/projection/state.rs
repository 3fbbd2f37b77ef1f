//! The state of the decisions about a read model, folded from their events.

use rivet_events::Position;
use rivet_events::projection::ProjectionEvent;
use serde::{Deserialize, Serialize};

/// The events that the read model skips.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProjectionState {
    /// Their positions, in the order of the decisions.
    pub skipped: Vec<Position>,
}

/// Applies one event.
pub(super) fn evolve(mut state: ProjectionState, event: ProjectionEvent) -> ProjectionState {
    match event {
        ProjectionEvent::RebuildRequested(_) | ProjectionEvent::StreamRetried(_) => {}
        ProjectionEvent::EventSkipped(e) => state.skipped.push(e.position),
    }
    state
}

/// The size of the positions.
pub(super) fn weight(state: &ProjectionState) -> usize {
    size_of_val(state.skipped.as_slice())
}
