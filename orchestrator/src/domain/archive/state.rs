//! The state of the archive, folded from its events.

use std::collections::VecDeque;

use rivet_events::Position;
use rivet_events::archive::{ArchiveEvent, SegmentArchived};
use serde::{Deserialize, Serialize};

/// How far archiving and purging have come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveState {
    /// Number of segments recorded so far, which is the number of the last one.
    pub segments: u64,
    /// The logs of all jobs whose end is recorded up to here have been considered for a segment.
    pub through: Position,
    /// The last segment, while its events are still in the event log too.
    pub pending: Option<SegmentArchived>,
    /// The segments that exist, in order.
    pub kept: VecDeque<KeptSegment>,
    /// Number of jobs that were purged.
    pub purged_jobs: u64,
    /// Number of events that were deleted from the log's tables with them.
    pub purged_events: u64,
    /// All jobs whose end is recorded up to here have been purged.
    pub purged_through: Position,
    /// The position up to which a purge is under way, if there is one.
    pub purging_through: Option<Position>,
}

/// A segment that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSegment {
    /// Its number.
    pub segment: u64,
    /// The name of its object in the store.
    pub object: String,
    /// Number of events in it.
    pub events: u64,
    /// The ends of its jobs are recorded up to here.
    pub through: Position,
}

impl ArchiveState {
    /// Applies one event.
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
