//! The observer of the writer, for metrics.

use std::time::Duration;

/// The figures of a committed batch.
#[derive(Debug, Clone, Copy)]
pub struct CommittedBatch {
    /// Appends in the batch.
    pub appends: usize,
    /// Events that were stored.
    pub events: usize,
    /// Appends that were answered with a conflict: those of the batch, and those refused without a commit since the
    /// last batch.
    pub conflicts: usize,
    /// Appends that wait for a later batch.
    pub waiting: usize,
    /// How long the database took.
    pub took: Duration,
}

/// Is called after each batch, by the writer's task, so it must be quick.
pub trait LogObserver: Send + Sync {
    /// A batch was committed.
    fn committed(&self, batch: &CommittedBatch);

    /// A batch of this many appends was not committed.
    fn failed(&self, appends: usize);
}

/// Ignores everything: for logs without metrics.
impl LogObserver for () {
    fn committed(&self, _: &CommittedBatch) {}

    fn failed(&self, _: usize) {}
}
