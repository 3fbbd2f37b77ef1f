//! The archive of job logs: which segments exist, whether their events have been deleted from the event log, and how
//! far jobs have been purged. There is one archive, and so one stream. The archiver (`crate::archive`) does the work;
//! this aggregate serialises concurrent archivers.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use rivet_events::StreamType;
use rivet_events::archive::ArchiveEvent;

use crate::domain::Decider;

pub(crate) use command::{
    ArchiveCommand, BeginPurge, RecordPurge, RecordRelease, RecordRemoval, RecordSegment,
};
pub(crate) use decide::ArchiveError;
pub(crate) use state::ArchiveState;

impl Decider for ArchiveState {
    const KIND: StreamType = StreamType::Archive;
    type Command = ArchiveCommand;
    type Event = ArchiveEvent;
    type Error = ArchiveError;

    fn decide(&self, command: ArchiveCommand) -> Result<Vec<ArchiveEvent>, ArchiveError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: ArchiveEvent) -> Self {
        state::evolve(self, event)
    }
}
