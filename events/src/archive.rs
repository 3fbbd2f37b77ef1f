//! What was taken out of the log's tables: job logs that are kept elsewhere, and jobs that are kept no more.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::envelope::Position;

/// A fact about the archive of job logs. Stream: `archive/job_logs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum ArchiveEvent {
    #[serde(rename = "archive.segment_archived")]
    SegmentArchived(SegmentArchived),
    #[serde(rename = "archive.segment_released")]
    SegmentReleased(SegmentReleased),
    #[serde(rename = "archive.purge_begun")]
    PurgeBegun(PurgeBegun),
    #[serde(rename = "archive.jobs_purged")]
    JobsPurged(JobsPurged),
    #[serde(rename = "archive.segment_removed")]
    SegmentRemoved(SegmentRemoved),
}

/// The logs of some ended jobs are in a segment, durable and read back. They are still in the log's tables too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentArchived {
    /// The segment: 1, 2, …
    pub segment: u64,
    /// Its name in the store of the archive.
    pub object: String,
    /// Logs in it.
    pub logs: u64,
    /// Events of them in it.
    pub events: u64,
    /// Log entries in these.
    pub entries: u64,
    /// Position of the first of these events.
    pub first_position: Position,
    /// Position of the last of them.
    pub last_position: Position,
    /// Every job whose end is recorded up to here was looked at: its log is in this segment or one before it, or it
    /// wrote none.
    pub through: Position,
    /// Size of the segment, in bytes.
    pub bytes: u64,
    /// Size of the events in it, in bytes.
    pub raw_bytes: u64,
    /// SHA-256 of the segment, in hexadecimal digits.
    pub sha256: String,
    /// When.
    pub archived_at: DateTime<Utc>,
}

/// The events of a segment are in it alone: their rows are free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentReleased {
    /// The segment.
    pub segment: u64,
    /// Its events, which the log's tables do not hold any more.
    pub events: u64,
    /// When.
    pub released_at: DateTime<Utc>,
}

/// Read models are told to forget some jobs that ended long ago. When all have, the events of these are deleted. This one
/// stays, after them: what stands last in the log is never deleted, or its position would be given anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PurgeBegun {
    /// No job whose end was recorded up to here is to be kept.
    pub through: Position,
    /// When.
    pub begun_at: DateTime<Utc>,
}

/// Nothing is kept any more of some jobs that ended long ago: their events are deleted, and their logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobsPurged {
    /// Jobs.
    pub jobs: u64,
    /// Events that were deleted from the log's tables.
    pub events: u64,
    /// No job whose end was recorded up to here is kept.
    pub through: Position,
    /// When.
    pub purged_at: DateTime<Utc>,
}

/// A segment that held logs of purged jobs alone is not kept any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentRemoved {
    /// The segment.
    pub segment: u64,
    /// Events that were in it.
    pub events: u64,
    /// When.
    pub removed_at: DateTime<Utc>,
}
