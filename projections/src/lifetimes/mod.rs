//! Which pipelines, jobs and runners there were at a position of the log.
//!
//! Each stream lives from its first event up to the one that ends it, an interval of positions. To find those that a
//! position lies in, each ended interval is kept at one node of an implicit binary tree over all positions: the
//! highest one within it. Only the nodes on the path to a position, one a level, can have intervals around it, and an
//! index finds these without the others. So a question costs what was alive then, and the logarithm of the log.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use fold::Lifetimes;
pub(crate) use queries::alive;

/// The life of one stream: of a runner that was removed and came back, from the first time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    /// The kind of stream.
    pub(crate) kind: String,
    /// Which one.
    pub(crate) id: String,
    /// Position of its first event.
    pub(crate) born: u64,
    /// Position of the event that ended it; none as long as it lives.
    pub(crate) ended: Option<u64>,
    /// The node that its interval is kept at; none as long as it lives.
    pub(crate) node: Option<u64>,
}

/// The node that an interval of positions is kept at: of those within it the one with most zeros at its end.
fn node_of(first: u64, last: u64) -> u64 {
    match (first ^ last).checked_ilog2() {
        None => first,
        Some(level) => last >> level << level,
    }
}

/// The nodes that may have intervals around a position: those up to it, and those after it, up to `head`.
fn nodes_around(position: u64, head: u64) -> (Vec<u64>, Vec<u64>) {
    let levels = head.checked_ilog2().map_or(0, |level| level + 1);
    let (mut up_to, mut after) = (Vec::new(), Vec::new());
    for level in 0..levels {
        let prefix = position >> level;
        if prefix & 1 == 1 {
            up_to.push(prefix << level);
        } else {
            after.push((prefix | 1) << level);
        }
    }
    (up_to, after)
}
