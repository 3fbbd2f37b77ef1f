//! Which batches a page of a job's log is made of.

use rivet_events::Position;

use super::LogBatch;

/// Entries in one page, in bytes; a single batch that is larger is a page of its own.
const PAGE_BYTES: u64 = 2 * 1024 * 1024;
/// Batches in one page.
const PAGE_BATCHES: usize = 512;

/// Where the entries of a page are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Of batches, in order.
    pub(super) positions: Vec<Position>,
    /// Whether they are the whole rest of the log.
    pub(super) is_whole: bool,
}

impl Places {
    /// Of what is stored, which is no more than [`page_batches`], and of what is not, the batch that holds the entry after
    /// `after_index` and those that hold the `limit` entries from there on, and one more.
    pub(super) fn new(
        mut batches: Vec<LogBatch>,
        unstored: Vec<LogBatch>,
        after_index: u64,
        limit: usize,
    ) -> Self {
        let mut is_whole = batches.len() < page_batches(limit);
        if is_whole {
            // What was stored since is in both.
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

/// Batches that hold so many entries, of which the first one may be in the middle of a batch.
pub(super) fn page_batches(limit: usize) -> usize {
    limit.saturating_add(1).min(PAGE_BATCHES)
}
