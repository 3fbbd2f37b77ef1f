//! The decisions of operators about a read model: to rebuild it, and to retry or skip an event that it cannot apply.
//! Its rows are in `rivet_projections`.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use rivet_events::StreamType;
use rivet_events::projection::ProjectionEvent;

use crate::domain::Decider;

pub(crate) use command::{Parked, ProjectionCommand, RebuildProjection, RetryStream, SkipEvent};
pub(crate) use decide::ProjectionError;
pub(crate) use state::ProjectionState;

impl Decider for ProjectionState {
    const KIND: StreamType = StreamType::Projection;
    type Command = ProjectionCommand;
    type Event = ProjectionEvent;
    type Error = ProjectionError;

    fn decide(&self, command: ProjectionCommand) -> Result<Vec<ProjectionEvent>, ProjectionError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: ProjectionEvent) -> Self {
        state::evolve(self, event)
    }

    fn weight(&self) -> usize {
        state::weight(self)
    }
}
