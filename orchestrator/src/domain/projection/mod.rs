//! The decisions of operators about a read model: to rebuild it, and to retry or skip an event that it cannot apply.
//! Its rows are in `rivet_projections`.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::projection::ProjectionEvent;
use serde::{Deserialize, Serialize};

pub use command::{Parked, ProjectionCommand, RebuildProjection, RetryStream, SkipEvent};
pub use decide::ProjectionError;
pub use state::ProjectionState;

/// The aggregate behind a read model's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Projection {
    /// Its state, folded from its events.
    pub state: ProjectionState,
}

impl Aggregate for Projection {
    const TYPE: &'static str = StreamType::Projection.as_str();
    type Command = ProjectionCommand;
    type Event = ProjectionEvent;
    type Error = ProjectionError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ProjectionCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ProjectionError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ProjectionEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
