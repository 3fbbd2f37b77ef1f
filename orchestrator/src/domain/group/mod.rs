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

use rivet_events::StreamType;
use rivet_events::group::GroupEvent;
pub(crate) use rivet_events::group::Place;

use crate::domain::Decider;

pub(crate) use command::{GroupCommand, TakePlace};
pub(crate) use decide::GroupError;
pub(crate) use state::GroupState;

impl Decider for GroupState {
    const KIND: StreamType = StreamType::Group;
    type Command = GroupCommand;
    type Event = GroupEvent;
    type Error = GroupError;

    fn decide(&self, command: GroupCommand) -> Result<Vec<GroupEvent>, GroupError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: GroupEvent) -> Self {
        state::evolve(self, event)
    }

    fn weight(&self) -> usize {
        state::weight(self)
    }
}
