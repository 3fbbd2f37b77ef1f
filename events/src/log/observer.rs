//! Who is told what the writer does: for measuring it, whatever that is done with.

use std::time::Duration;

/// What became of a batch of appends.
#[derive(Debug, Clone, Copy)]
pub struct CommittedBatch {
    /// Appends that were given to the database together.
    pub appends: usize,
    /// Events that the log has more than before.
    pub events: usize,
    /// Appends that were answered with a conflict: of the batch, and those that were overtaken since the one before.
    pub conflicts: usize,
    /// Appends that wait for the next batch.
    pub waiting: usize,
    /// How long the database took.
    pub took: Duration,
}

/// Is told of each batch, by the task that writes: it must be quick.
pub trait LogObserver: Send + Sync {
    /// A batch was committed.
    fn committed(&self, batch: &CommittedBatch);

    /// A batch of this many appends was not committed.
    fn failed(&self, appends: usize);
}

/// For logs that nobody measures.
impl LogObserver for () {
    fn committed(&self, _: &CommittedBatch) {}

    fn failed(&self, _: usize) {}
}
