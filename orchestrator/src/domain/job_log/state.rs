//! What has come of a job log's events: counts and digests, never the lines.

use std::collections::VecDeque;

use rivet_events::job_log::JobLogEvent;
use serde::{Deserialize, Serialize};

/// Batches whose repetition is recognised without an offset.
pub(super) const REMEMBERED_BATCHES: usize = 8;

/// How far a job's log is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobLogState {
    /// The attempt that wrote last; 0 before the first.
    pub attempt: u32,
    /// Entries of that attempt.
    pub stored: u64,
    /// Entries of all attempts.
    pub total: u64,
    /// The last batches: attempt and digest, oldest first.
    pub recent: VecDeque<(u32, String)>,
}

impl JobLogState {
    /// The state after one more event.
    #[must_use]
    pub fn evolve(mut self, event: JobLogEvent) -> Self {
        match event {
            JobLogEvent::Appended(batch) => {
                let count = batch.entries.len() as u64;
                self.attempt = batch.attempt;
                self.stored = batch.offset + count;
                self.total = batch.first_index - 1 + count;
                if self.recent.len() == REMEMBERED_BATCHES {
                    self.recent.pop_front();
                }
                self.recent.push_back((batch.attempt, batch.digest));
            }
        }
        self
    }

    /// Entries stored of an attempt; 0 for one that has not written yet.
    #[must_use]
    pub fn acknowledged(&self, attempt: u32) -> u64 {
        if attempt == self.attempt { self.stored } else { 0 }
    }
}
