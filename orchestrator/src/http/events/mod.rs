//! Events: the feed of the whole log, read by page or followed as a stream.

pub(super) mod list;
mod query;
pub(super) mod stream;
