//! A concurrency group: jobs of whatever pipelines that share a limit of running ones.
//!
//! A place is taken together with the claim that needs it. Nobody gives it back: that a lease has ended is found when
//! the place is needed, so a place cannot leak, whatever way the job ended.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::group::GroupEvent;
use serde::{Deserialize, Serialize};

pub use command::{GroupCommand, TakePlace};
pub use decide::GroupError;
pub use state::{GroupState, Place};

/// The aggregate behind a group's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group {
    /// What has come of its events.
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
