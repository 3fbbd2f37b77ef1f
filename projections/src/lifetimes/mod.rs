//! Which pipelines, jobs and runners existed at a position of the log.
//!
//! Each stream lives from its first event to the one that ends it: an interval of positions. To find the intervals
//! that contain a position, each ended one is stored at one node of an implicit binary tree over all positions: the
//! highest node within it. Only the nodes on the path to a position, one for each level, can have intervals around
//! it, and an index finds those alone. So a query costs as much as there were streams alive then, plus one look into
//! the index for each level.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use fold::Lifetimes;
pub(crate) use queries::alive;

/// The lifetime of one stream. A runner that was removed and registered again has one, which begins with the first
/// time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    /// The kind of stream.
    pub(crate) kind: String,
    /// The id of the stream.
    pub(crate) id: String,
    /// Position of its first event.
    pub(crate) born: u64,
    /// Position of the event that ended it; `None` as long as it lives.
    pub(crate) ended: Option<u64>,
    /// The tree node that its interval is stored at; `None` as long as it lives.
    pub(crate) node: Option<u64>,
}

/// The node that an interval of positions is stored at: the position within it that has the most trailing zero bits.
fn node_of(first: u64, last: u64) -> u64 {
    match (first ^ last).checked_ilog2() {
        None => first,
        Some(level) => last >> level << level,
    }
}

/// The levels of the tree: as many as the largest position has bits. Fewer would do for a short log, but its length is
/// not known: another process may store rows that are newer than what this one knows of the log.
const LEVELS: u32 = i64::BITS - 1;

/// The nodes that may have intervals around a position: those at or before it, and those after it.
fn nodes_around(position: u64) -> (Vec<u64>, Vec<u64>) {
    let (mut up_to, mut after) = (Vec::new(), Vec::new());
    for level in 0..LEVELS {
        let prefix = position >> level;
        if prefix & 1 == 1 {
            up_to.push(prefix << level);
        } else {
            after.push((prefix | 1) << level);
        }
    }
    (up_to, after)
}
