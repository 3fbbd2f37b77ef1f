//! What can be asked of the archive of job logs.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::archive::SegmentArchived;

/// A command to the archive.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum ArchiveCommand {
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

/// Keep in mind that the next segment is durable, and was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSegment {
    /// What will be recorded.
    pub archived: Box<SegmentArchived>,
}

/// Keep in mind that the events of a segment are in it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRelease {
    /// The segment.
    pub segment: u64,
    /// When.
    pub now: DateTime<Utc>,
}

/// Keep in mind that jobs were told to be forgotten. Doing it again puts it at the end of the log again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginPurge {
    /// How far the log was looked through before.
    pub after: Position,
    /// How far it was looked through.
    pub through: Position,
    /// When.
    pub now: DateTime<Utc>,
}

/// Keep in mind that nothing is kept any more of jobs up to a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPurge {
    /// Jobs of which nothing is kept, all that there ever were.
    pub jobs: u64,
    /// Events that were deleted from the log's tables for it, likewise.
    pub events: u64,
    /// Up to where.
    pub through: Position,
    /// When.
    pub now: DateTime<Utc>,
}

/// Keep in mind that a segment is not kept any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRemoval {
    /// The segment.
    pub segment: u64,
    /// When.
    pub now: DateTime<Utc>,
}
