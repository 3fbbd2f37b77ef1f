//! A pipeline: a named Lua definition with a history of versions.

mod command;
mod decide;
mod parameters;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::pipeline::PipelineEvent;
use serde::{Deserialize, Serialize};

pub use command::{CreatePipeline, DeletePipeline, PipelineCommand, RevisePipeline, RollBackPipeline};
pub use decide::PipelineError;
pub use parameters::{ParameterError, check as check_parameters};
pub use state::{PipelineState, Revision};

/// The aggregate behind a pipeline's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pipeline {
    /// Its state, folded from its events.
    pub state: PipelineState,
}

impl Aggregate for Pipeline {
    const TYPE: &'static str = StreamType::Pipeline.as_str();
    type Command = PipelineCommand;
    type Event = PipelineEvent;
    type Error = PipelineError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PipelineCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PipelineError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PipelineEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
