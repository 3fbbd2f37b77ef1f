//! The events of the archive: job logs that moved from the log's tables into segments, and jobs that were purged.

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

/// The logs of some ended jobs were written to a segment: it is durable, and was read back. Their events are still in
/// the log's tables too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentArchived {
    /// The segment: 1, 2, …
    pub segment: u64,
    /// Its name in the store of the archive.
    pub object: String,
    /// Number of logs in it.
    pub logs: u64,
    /// Number of events in it.
    pub events: u64,
    /// Number of log entries in these events.
    pub entries: u64,
    /// Position of the first of these events.
    pub first_position: Position,
    /// Position of the last of them.
    pub last_position: Position,
    /// All jobs whose end is recorded up to here are done: each has its log in this or an earlier segment, or wrote
    /// none.
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

/// The events of a segment were deleted from the log's tables: only the segment has them now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentReleased {
    /// The segment.
    pub segment: u64,
    /// Number of these events.
    pub events: u64,
    /// When.
    pub released_at: DateTime<Utc>,
}

/// Jobs that ended long ago are to be purged: read models delete their rows, and once all have, the events of the
/// jobs are deleted. This event stands after those and stays: the last event of the log must never be deleted, or its
/// position would be assigned again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PurgeBegun {
    /// No job whose end was recorded up to here is to be kept.
    pub through: Position,
    /// When.
    pub begun_at: DateTime<Utc>,
}

/// Jobs that ended long ago were purged: their events and their logs are deleted, and so are superseded events of runners
/// and groups that are as old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobsPurged {
    /// Number of jobs.
    pub jobs: u64,
    /// Number of events that were deleted from the log's tables.
    pub events: u64,
    /// No job whose end was recorded up to here is kept.
    pub through: Position,
    /// When.
    pub purged_at: DateTime<Utc>,
}

/// A segment was deleted, since it held only logs of purged jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentRemoved {
    /// The segment.
    pub segment: u64,
    /// Number of events that were in it.
    pub events: u64,
    /// When.
    pub removed_at: DateTime<Utc>,
}
