//! A pipeline: a named Lua definition with a history of versions.

mod command;
mod decide;
mod parameters;
mod state;
#[cfg(test)]
mod tests;

use rivet_events::StreamType;
use rivet_events::pipeline::PipelineEvent;

use crate::domain::Decider;

pub(crate) use command::{CreatePipeline, DeletePipeline, PipelineCommand, RevisePipeline, RollBackPipeline};
pub(crate) use decide::PipelineError;
pub(crate) use parameters::{ParameterError, check as check_parameters, check_defaults};
pub(crate) use state::{PipelineState, Revision};

impl Decider for PipelineState {
    const KIND: StreamType = StreamType::Pipeline;
    type Command = PipelineCommand;
    type Event = PipelineEvent;
    type Error = PipelineError;

    fn decide(&self, command: PipelineCommand) -> Result<Vec<PipelineEvent>, PipelineError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: PipelineEvent) -> Self {
        state::evolve(self, event)
    }

    fn weight(&self) -> usize {
        state::weight(self)
    }
}
