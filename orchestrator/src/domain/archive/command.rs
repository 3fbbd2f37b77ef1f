//! The commands to the archive of job logs.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::archive::SegmentArchived;

/// A command to the archive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ArchiveCommand {
    RecordSegment(RecordSegment),
    RecordRelease(RecordRelease),
    BeginPurge(BeginPurge),
    RecordPurge(RecordPurge),
    RecordRemoval(RecordRemoval),
}

command_names! {
    ArchiveCommand {
        RecordSegment => "record_segment",
        RecordRelease => "record_release",
        BeginPurge => "begin_purge",
        RecordPurge => "record_purge",
        RecordRemoval => "record_removal",
    }
}

/// Record that the next segment is stored, and was read back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordSegment {
    /// The event to record.
    pub archived: Box<SegmentArchived>,
    /// The position up to which jobs had been purged when its logs were gathered.
    pub purged_through: Position,
    /// The position up to which a purge was under way then.
    pub purging_through: Option<Position>,
}

/// Record that the events of a segment have been deleted from the event log: only the segment has them now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordRelease {
    /// The segment.
    pub segment: u64,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Record that jobs are marked as purged, and will be deleted. Repeating it appends the event again, so that the last
/// event of the log is not one of those jobs'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BeginPurge {
    /// The position up to which jobs were purged before.
    pub after: Position,
    /// The position up to which the ends of the marked jobs are recorded.
    pub through: Position,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Record that the jobs whose end is recorded up to a position have been deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordPurge {
    /// Number of jobs that were ever deleted, in total.
    pub jobs: u64,
    /// Number of events that were ever deleted from the log's tables with them, in total.
    pub events: u64,
    /// The position.
    pub through: Position,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Record that a segment has been deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordRemoval {
    /// The segment.
    pub segment: u64,
    /// Time of the command.
    pub now: DateTime<Utc>,
}
