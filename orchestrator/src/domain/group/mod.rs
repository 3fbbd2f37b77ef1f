//! A concurrency group: jobs, of any pipelines, that share a limit on how many of them run at the same time.
//!
//! A running job takes up one place of its group, which is taken in the same append as the claim. A place is not
//! given back when its job ends. Instead the next claim that needs it finds that its lease has ended, and frees it.
//! So a place cannot leak, in whatever way its job ended.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::group::GroupEvent;
pub use rivet_events::group::Place;
use serde::{Deserialize, Serialize};

pub use command::{GroupCommand, TakePlace};
pub use decide::GroupError;
pub use state::GroupState;

/// The aggregate behind a group's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group {
    /// Its state, folded from its events.
    pub state: GroupState,
}

impl Aggregate for Group {
    const TYPE: &'static str = StreamType::Group.as_str();
    type Command = GroupCommand;
    type Event = GroupEvent;
    type Error = GroupError;
    type Services = ();

    async fn handle(
        &mut self,
        command: GroupCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), GroupError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: GroupEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
