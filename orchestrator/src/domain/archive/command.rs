//! What can be asked of the archive of job logs.

use chrono::{DateTime, Utc};
use rivet_events::Position;

/// A command to the archive.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum ArchiveCommand {
    RecordSegment(RecordSegment),
    RecordRelease(RecordRelease),
}

command_names! {
    ArchiveCommand {
        RecordSegment => "record_segment",
        RecordRelease => "record_release",
    }
}

/// Keep in mind that the next segment is durable, and was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSegment {
    /// The number that it was made for.
    pub segment: u64,
    /// Its name in the store.
    pub object: String,
    /// Logs in it.
    pub logs: u64,
    /// Events in it.
    pub events: u64,
    /// Log entries in these.
    pub entries: u64,
    /// Position of the first of these events.
    pub first_position: Position,
    /// Position of the last of them.
    pub last_position: Position,
    /// How far the log was looked through for jobs that have ended.
    pub through: Position,
    /// Size of the segment, in bytes.
    pub bytes: u64,
    /// Size of the events in it, in bytes.
    pub raw_bytes: u64,
    /// SHA-256 of the segment, in hexadecimal digits.
    pub sha256: String,
    /// When.
    pub now: DateTime<Utc>,
}

/// Keep in mind that the events of a segment are in it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRelease {
    /// The segment.
    pub segment: u64,
    /// When.
    pub now: DateTime<Utc>,
}
