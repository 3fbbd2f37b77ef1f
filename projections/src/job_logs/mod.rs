//! What each job wrote, a row a batch.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use chrono::serde::ts_microseconds;
use chrono::{DateTime, Utc};
use rivet_events::id::JobId;
use rivet_events::job_log::LogEntries;
use serde::{Deserialize, Serialize};

pub use fold::JobLogs;
pub use queries::{LogPage, NumberedEntry, last_index, page};
pub(crate) use queries::{delete_all, key};

/// A batch of entries. Its key is `{job_id}/{first_index, twelve digits}`, so that a job's log is a range of keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogBatch {
    /// Size of the entries, in bytes.
    pub bytes: u64,
    /// The job.
    pub job_id: JobId,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// Index of the first entry: 1, 2, … over all attempts.
    pub first_index: u64,
    /// When it arrived.
    #[serde(with = "ts_microseconds")]
    pub appended_at: DateTime<Utc>,
    /// The entries, in order of arrival.
    pub entries: LogEntries,
}

impl LogBatch {
    /// The index after its last entry.
    fn next_index(&self) -> u64 {
        self.first_index + self.entries.len() as u64
    }
}
