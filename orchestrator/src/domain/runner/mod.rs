//! A runner: a process on another machine that polls for jobs. It is identified by its name.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::runner::RunnerEvent;
use serde::{Deserialize, Serialize};

pub use command::{LoseRunner, RecordHeartbeat, RegisterRunner, RemoveRunner, RunnerCommand};
pub use decide::RunnerError;
pub use state::{Registered, RunnerState};

/// The aggregate behind a runner's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runner {
    /// Its state, folded from its events.
    pub state: RunnerState,
}

impl Aggregate for Runner {
    const TYPE: &'static str = StreamType::Runner.as_str();
    type Command = RunnerCommand;
    type Event = RunnerEvent;
    type Error = RunnerError;
    type Services = ();

    async fn handle(
        &mut self,
        command: RunnerCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), RunnerError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: RunnerEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
