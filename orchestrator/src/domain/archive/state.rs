//! What has come of the archive's events.

use rivet_events::Position;
use rivet_events::archive::{ArchiveEvent, SegmentArchived};
use serde::{Deserialize, Serialize};

/// How far the archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveState {
    /// Segments so far.
    pub segments: u64,
    /// Logs in them.
    pub logs: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// Every job whose end is recorded up to here was looked at.
    pub through: Position,
    /// The last segment, as long as its events are in the log too.
    pub pending: Option<SegmentArchived>,
}

impl ArchiveState {
    /// The state after one more event.
    #[must_use]
    pub fn evolve(self, event: ArchiveEvent) -> Self {
        match event {
            ArchiveEvent::SegmentArchived(segment) => Self {
                segments: segment.segment,
                logs: self.logs.saturating_add(segment.logs),
                bytes: self.bytes.saturating_add(segment.bytes),
                through: segment.through,
                pending: Some(segment),
            },
            ArchiveEvent::SegmentReleased(released) => {
                let pending = self.pending.filter(|pending| pending.segment != released.segment);
                Self { pending, ..self }
            }
        }
    }
}
