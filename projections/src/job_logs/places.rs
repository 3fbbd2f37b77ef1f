//! Chooses the batches that a page of a job's log is made of.

use rivet_events::Position;

use super::LogBatch;

/// Most bytes of entries in one page; a single batch that is larger is a page of its own.
const PAGE_BYTES: u64 = 2 * 1024 * 1024;
/// Most batches in one page.
const PAGE_BATCHES: usize = 512;

/// The batches of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// The positions of their events, in order.
    pub(super) positions: Vec<Position>,
    /// Whether they are the whole rest of the log.
    pub(super) is_whole: bool,
}

impl Places {
    /// Chooses from the stored `batches`, of which there are at most [`page_batches`], and from the unstored ones:
    /// the batch with the entry after `after_index`, and those with the `limit` entries from there on, and one entry
    /// more.
    pub(super) fn new(
        mut batches: Vec<LogBatch>,
        unstored: Vec<LogBatch>,
        after_index: u64,
        limit: usize,
    ) -> Self {
        let mut is_whole = batches.len() < page_batches(limit);
        if is_whole {
            // A batch that was stored meanwhile is in both.
            let last = batches.last().map(|batch| batch.first_index);
            batches.extend(unstored.into_iter().filter(|batch| Some(batch.first_index) > last));
        }
        let next = after_index.saturating_add(1);
        let first = batches.iter().rposition(|batch| batch.first_index <= next).unwrap_or_default();
        let last_index = next.saturating_add(limit as u64);
        let (mut positions, mut bytes) = (Vec::new(), 0);
        for batch in batches.into_iter().skip(first) {
            if batch.first_index > last_index || bytes >= PAGE_BYTES {
                is_whole = false;
                break;
            }
            bytes += batch.bytes;
            positions.push(batch.position);
        }
        Self { positions, is_whole }
    }
}

/// Most batches that are needed for `limit` entries, of which the first one may be in the middle of a batch.
pub(super) fn page_batches(limit: usize) -> usize {
    limit.saturating_add(1).min(PAGE_BATCHES)
}
