//! The queue: which jobs may be claimed next, and by whom.
//!
//! **Claim order.** A job is sorted by the time of its launch, minus one `PRIORITY_STEP` for each level of its priority.
//! So a job of the next higher level overtakes those that were launched up to one step before it, and no others. A
//! higher priority goes first, within one priority the oldest goes first, and no job waits for ever. A job that is
//! queued again has the place that it had, before the younger ones. The claim order is one number that never changes,
//! so that an index holds the queue in order.

mod candidates;
mod fold;
mod occupancy;
mod queries;
#[cfg(test)]
mod tests;

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::Position;
use rivet_events::id::{JobId, PipelineId};
use rivet_events::job::{Concurrency, is_due};
use serde::{Deserialize, Serialize};

pub use candidates::{Covered, Demands, candidates, candidates_at, demands, offered};
pub(crate) use fold::JobQueue;
pub use occupancy::Occupancy;
pub use queries::{
    ahead_of, cancelling, depth_by_demands, find, held_of_group, of_pipeline, older_of_group,
    oldest_queued_at, queued_before, running_of_group,
};

/// The head start that one level of priority gives.
pub(crate) const PRIORITY_STEP: TimeDelta = TimeDelta::minutes(10);

/// A job that waits for a runner, or is held by one and may come to wait again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueuedJob {
    /// The job.
    pub job_id: JobId,
    /// What it runs.
    pub pipeline_id: PipelineId,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    /// The position of its launch: by it the launches of all replicas have one order, whatever their clocks say.
    pub launched_at: Position,
    /// When it was launched.
    #[serde(with = "ts_microseconds")]
    pub requested_at: DateTime<Utc>,
    /// When it was launched or last requeued; `None` while a runner holds it.
    #[serde(with = "ts_microseconds_option")]
    pub queued_at: Option<DateTime<Utc>>,
    /// It is not offered to runners before this time.
    #[serde(with = "ts_microseconds")]
    pub due_at: DateTime<Utc>,
    /// Capabilities that its runner needs; sorted, unique.
    pub demands: Vec<String>,
    /// Whether only a runner that echoes its lease may claim it.
    pub needs_fencing: bool,
    /// The group whose limit it shares.
    pub concurrency: Option<Concurrency>,
    /// Attempts so far.
    pub attempt: u32,
    /// Place in the claim order, in microseconds; `None` while a runner holds it.
    pub(crate) claim_order: Option<i64>,
    /// One text for each set of demands; `None` while a runner holds it.
    pub(crate) demands_key: Option<String>,
    /// The group's name, for the index.
    pub(crate) concurrency_group: Option<String>,
    /// The group's limit, for comparing in the query.
    pub(crate) concurrency_limit: Option<u32>,
    /// `launched_at`, if it cancels the jobs of the group that were launched before it.
    pub(crate) cancels_before: Option<Position>,
}

impl QueuedJob {
    /// Whether it may be offered: whether it is due.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.queued_at.map_or(self.due_at <= now, |queued_at| is_due(queued_at, self.due_at, now))
    }
}
