//! The state of the archive, folded from its events.

use std::collections::VecDeque;

use rivet_events::Position;
use rivet_events::archive::{ArchiveEvent, SegmentArchived};
use serde::{Deserialize, Serialize};

/// How far archiving and purging have come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchiveState {
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
pub(crate) struct KeptSegment {
    /// Its number.
    pub segment: u64,
    /// The name of its object in the store.
    pub object: String,
    /// Number of events in it.
    pub events: u64,
    /// The ends of its jobs are recorded up to here.
    pub through: Position,
}

/// Applies one event.
pub(super) fn evolve(mut state: ArchiveState, event: ArchiveEvent) -> ArchiveState {
    match event {
        ArchiveEvent::SegmentArchived(segment) => {
            state.segments = segment.segment;
            state.through = segment.through;
            state.kept.push_back(KeptSegment {
                segment: segment.segment,
                object: segment.object.clone(),
                events: segment.events,
                through: segment.through,
            });
            state.pending = Some(segment);
        }
        ArchiveEvent::SegmentReleased(released) => {
            state.pending = state.pending.filter(|pending| pending.segment != released.segment);
        }
        ArchiveEvent::PurgeBegun(begun) => state.purging_through = Some(begun.through),
        ArchiveEvent::JobsPurged(purged) => {
            state.purging_through = None;
            state.purged_jobs = state.purged_jobs.saturating_add(purged.jobs);
            state.purged_events = state.purged_events.saturating_add(purged.events);
            state.purged_through = purged.through;
        }
        ArchiveEvent::SegmentRemoved(removed) => {
            state.kept.retain(|kept| kept.segment != removed.segment);
        }
    }
    state
}
