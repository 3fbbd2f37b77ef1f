//! Events: the feed of the whole log, read by page or followed as a stream; and the history of one job.

pub(super) mod history;
pub(super) mod list;
mod query;
pub(super) mod stream;
