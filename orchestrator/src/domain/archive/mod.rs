//! The archive of job logs: which segments there are, and whether their events have left the log.

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
    /// What has come of its events.
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
