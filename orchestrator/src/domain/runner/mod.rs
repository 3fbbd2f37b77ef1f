//! A runner: a process on another machine that polls for jobs. It is identified by its name.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use rivet_events::StreamType;
use rivet_events::runner::RunnerEvent;

use crate::domain::Decider;

pub(crate) use command::{LoseRunner, RecordHeartbeat, RegisterRunner, RemoveRunner, RunnerCommand};
pub(crate) use decide::RunnerError;
pub(crate) use state::RunnerState;

impl Decider for RunnerState {
    const KIND: StreamType = StreamType::Runner;
    type Command = RunnerCommand;
    type Event = RunnerEvent;
    type Error = RunnerError;

    fn decide(&self, command: RunnerCommand) -> Result<Vec<RunnerEvent>, RunnerError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: RunnerEvent) -> Self {
        state::evolve(self, event)
    }

    fn weight(&self) -> usize {
        state::weight(self)
    }
}
