//! What has come of the decisions about a read model.

use rivet_events::Position;
use rivet_events::projection::ProjectionEvent;
use serde::{Deserialize, Serialize};

/// The events that the read model does without.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectionState {
    /// Where they stand, in the order of the decisions.
    pub skipped: Vec<Position>,
}

impl ProjectionState {
    /// The state after one more event.
    #[must_use]
    pub fn evolve(mut self, event: ProjectionEvent) -> Self {
        match event {
            ProjectionEvent::RebuildRequested(_) | ProjectionEvent::StreamRetried(_) => {}
            ProjectionEvent::EventSkipped(e) => self.skipped.push(e.position),
        }
        self
    }
}
