//! How many jobs of each pipeline wait, run, and have ended in each way. The counters are kept up to date event by
//! event, so that a dashboard can poll them cheaply, however long the history is.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use rivet_events::id::PipelineId;
use serde::{Deserialize, Serialize};

pub(crate) use fold::PipelineActivity;
pub use queries::{Totals, deleted_with_waiting, find, list, totals};

/// A pipeline, with its jobs counted by state. Purged jobs are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Activity {
    pub pipeline_id: PipelineId,
    pub name: String,
    pub deleted: bool,
    pub queued: u64,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub timed_out: u64,
}

impl Activity {
    pub(crate) fn none(pipeline_id: PipelineId) -> Self {
        Self {
            pipeline_id,
            name: String::new(),
            deleted: false,
            queued: 0,
            running: 0,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            timed_out: 0,
        }
    }
}
