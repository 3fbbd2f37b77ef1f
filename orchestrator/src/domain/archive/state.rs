//! What has come of the archive's events.

use std::collections::VecDeque;

use rivet_events::Position;
use rivet_events::archive::{ArchiveEvent, SegmentArchived};
use serde::{Deserialize, Serialize};

/// How far the archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveState {
    /// Segments so far.
    pub segments: u64,
    /// Every job whose end is recorded up to here was looked at.
    pub through: Position,
    /// The last segment, as long as its events are in the log too.
    pub pending: Option<SegmentArchived>,
    /// The segments that are there, the first one first.
    pub kept: VecDeque<KeptSegment>,
    /// Jobs that were purged.
    pub purged_jobs: u64,
    /// Events that were deleted from the log's tables with them.
    pub purged_events: u64,
    /// No job whose end was recorded up to here is kept.
    pub purged_through: Position,
    /// Up to where jobs are being forgotten.
    pub purging_through: Option<Position>,
}

/// A segment that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSegment {
    /// The segment.
    pub segment: u64,
    /// Its name in the store.
    pub object: String,
    /// Events in it.
    pub events: u64,
    /// Its jobs had ended up to here.
    pub through: Position,
}

impl ArchiveState {
    /// The state after one more event.
    #[must_use]
    pub fn evolve(mut self, event: ArchiveEvent) -> Self {
        match event {
            ArchiveEvent::SegmentArchived(segment) => {
                self.segments = segment.segment;
                self.through = segment.through;
                self.kept.push_back(KeptSegment {
                    segment: segment.segment,
                    object: segment.object.clone(),
                    events: segment.events,
                    through: segment.through,
                });
                self.pending = Some(segment);
            }
            ArchiveEvent::SegmentReleased(released) => {
                self.pending = self.pending.filter(|pending| pending.segment != released.segment);
            }
            ArchiveEvent::PurgeBegun(begun) => self.purging_through = Some(begun.through),
            ArchiveEvent::JobsPurged(purged) => {
                self.purging_through = None;
                self.purged_jobs = self.purged_jobs.saturating_add(purged.jobs);
                self.purged_events = self.purged_events.saturating_add(purged.events);
                self.purged_through = purged.through;
            }
            ArchiveEvent::SegmentRemoved(removed) => {
                self.kept.retain(|kept| kept.segment != removed.segment);
            }
        }
        self
    }
}
