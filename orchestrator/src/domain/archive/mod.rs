//! The archive of job logs: which segments exist, whether their events have been deleted from the event log, and how
//! far jobs have been purged. There is one archive, and so one stream. The archiver (`crate::archive`) does the work;
//! this aggregate serialises concurrent archivers.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::archive::ArchiveEvent;
use serde::{Deserialize, Serialize};

pub use command::{ArchiveCommand, BeginPurge, RecordPurge, RecordRelease, RecordRemoval, RecordSegment};
pub use decide::ArchiveError;
pub use state::{ArchiveState, KeptSegment};

/// The aggregate behind the archive's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Archive {
    /// Its state, folded from its events.
    pub state: ArchiveState,
}

impl Aggregate for Archive {
    const TYPE: &'static str = StreamType::Archive.as_str();
    type Command = ArchiveCommand;
    type Event = ArchiveEvent;
    type Error = ArchiveError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ArchiveCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ArchiveError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ArchiveEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
