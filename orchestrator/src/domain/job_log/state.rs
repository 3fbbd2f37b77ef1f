//! The state of a job's log, folded from its events: counts and digests, never the lines.

use std::collections::VecDeque;

use rivet_events::job_log::JobLogEvent;
use serde::{Deserialize, Serialize};

/// The number of latest batches whose repetition is recognised without an offset. The state depends on their events only:
/// each event also tells how many entries there were before it.
pub(crate) const REMEMBERED_BATCHES: usize = 8;

/// How much of a job's log is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobLogState {
    /// The attempt that has written last; 0 if none has.
    pub attempt: u32,
    /// Entries stored of that attempt.
    pub stored: u64,
    /// Entries stored of all attempts.
    pub total: u64,
    /// The latest batches, each with its attempt and digest, oldest first.
    pub recent: VecDeque<(u32, String)>,
}

/// Applies one event.
pub(super) fn evolve(mut state: JobLogState, event: JobLogEvent) -> JobLogState {
    match event {
        JobLogEvent::Appended(batch) => {
            let count = batch.entries.len() as u64;
            state.attempt = batch.attempt;
            state.stored = batch.offset.saturating_add(count);
            state.total = batch.first_index.saturating_sub(1).saturating_add(count);
            if state.recent.len() == REMEMBERED_BATCHES {
                state.recent.pop_front();
            }
            state.recent.push_back((batch.attempt, batch.digest));
        }
    }
    state
}

impl JobLogState {
    /// Number of entries stored of an attempt, if it is the last one that has written; else 0.
    #[must_use]
    pub(crate) fn acknowledged(&self, attempt: u32) -> u64 {
        if attempt == self.attempt { self.stored } else { 0 }
    }
}
