//! The state of the decisions about a read model, folded from their events.

use rivet_events::Position;
use rivet_events::projection::ProjectionEvent;
use serde::{Deserialize, Serialize};

/// The events that the read model skips.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectionState {
    /// Their positions, in the order of the decisions.
    pub skipped: Vec<Position>,
}

impl ProjectionState {
    /// Applies one event.
    #[must_use]
    pub fn evolve(mut self, event: ProjectionEvent) -> Self {
        match event {
            ProjectionEvent::RebuildRequested(_) | ProjectionEvent::StreamRetried(_) => {}
            ProjectionEvent::EventSkipped(e) => self.skipped.push(e.position),
        }
        self
    }
}
