//! The current state of every job: status, attempt, holder, times and result.

mod fold;
mod queries;
mod search;
#[cfg(test)]
mod tests;

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{JobResult, JobStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use fold::Jobs;
pub use queries::{JobFilter, each_at, find, find_at, find_at_least, first_of, list, with_status};
pub use search::{SearchError, search};

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// What it runs.
    pub pipeline_id: PipelineId,
    /// The version of the pipeline that it runs.
    pub pipeline_version: u32,
    /// Its state on the wire.
    pub status: JobStatus,
    /// Its finer state.
    pub phase: JobPhase,
    /// When it was launched.
    #[serde(with = "ts_microseconds")]
    pub requested_at: DateTime<Utc>,
    /// When it was launched or last requeued.
    #[serde(with = "ts_microseconds")]
    pub queued_at: DateTime<Utc>,
    /// When the next attempt is due, while the job waits for it.
    #[serde(with = "ts_microseconds_option")]
    pub due_at: Option<DateTime<Utc>>,
    /// When the current or last attempt was claimed; `None` while the job waits.
    #[serde(with = "ts_microseconds_option")]
    pub claimed_at: Option<DateTime<Utc>>,
    /// When the holder gave its first sign of work on that attempt.
    #[serde(with = "ts_microseconds_option")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(with = "ts_microseconds_option")]
    pub completed_at: Option<DateTime<Utc>>,
    /// The holder, or the last one of an ended job; `None` while the job waits.
    pub runner_id: Option<RunnerId>,
    /// Attempts so far; 0 before the first claim.
    pub attempt: u32,
    /// The lease of the current attempt; `None` if nobody holds the job.
    pub lease_id: Option<LeaseId>,
    /// Whether the holder of the current attempt echoes its lease.
    pub fencing: bool,
    /// The request to cancel it, while the holder has not stopped yet.
    pub cancel: Option<CancelRequest>,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    /// Longest run of one attempt, in seconds; the server's default where absent.
    pub timeout_seconds: Option<u64>,
    /// The ended job that this one repeats.
    pub retry_of: Option<JobId>,
    /// Why it ended, if its status does not say it.
    pub reason: Option<String>,
    /// What the last holder reported at the end.
    pub result: Option<JobResult>,
    /// Values of the inputs.
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// The finer state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// Waits to be claimed.
    Queued,
    /// Waits until the next attempt is due; from `due_at` on, it counts as queued.
    Backoff,
    /// A runner holds it and has not started it.
    Claimed,
    /// A runner works on it.
    Started,
    /// Its runner has been asked to stop it.
    Cancelling,
    /// It has ended.
    Ended,
}

/// A request to cancel a running job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// When it was first made.
    #[serde(with = "ts_microseconds")]
    pub requested_at: DateTime<Utc>,
    /// Whether the job ends after the grace period even if the holder goes on.
    pub force: bool,
}
