//! Where the log entries of each job are in the event log: a row for each batch, with the position of its event.

mod fold;
mod places;
mod queries;
#[cfg(test)]
mod tests;

use rivet_events::Position;
use serde::{Deserialize, Serialize};

pub(crate) use fold::JobLogs;
pub use queries::{LogPage, NumberedEntry, last_index, page};
pub(crate) use queries::{delete_all, key};

/// The place of a batch of entries. Its key is `{job_id}/{first_index, twelve digits}`, so that a job's log is a
/// range of keys. The entries themselves are only in the event: they are most of all data, and nobody searches them
/// by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogBatch {
    /// Size of the entries, in bytes.
    pub bytes: u64,
    /// Index of the first entry: 1, 2, … over all attempts.
    pub first_index: u64,
    /// Position of the event.
    pub position: Position,
}
