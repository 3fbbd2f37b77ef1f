//! Segments: the archive, which keeps the logs of ended jobs outside of the database.
//!
//! A segment is an object in a directory or an S3-compatible store ([`Objects`]). It holds the `job_log` events of
//! some jobs as they were stored; it is written once and never changed. [`mod@format`] is its layout. `source` finds
//! ended jobs and gathers their logs. `index` records which block of which segment holds a log. A [`Release`] writes
//! it and deletes the events from the log's table, in one transaction. [`Archive`] reads logs back, through a cache of
//! blocks. `purge` deletes jobs that are not to be kept at all, and
//! `compact` the old events of runners and groups that no state depends on.

mod compact;
pub mod format;
mod index;
mod objects;
mod purge;
mod reader;
mod release;
pub(crate) mod source;

pub use compact::{compact_on_postgres, compact_on_sqlite};
pub use format::{Block, Segment, SegmentError, SegmentWriter, StoredEvent};
pub use index::Part;
pub use objects::{ArchiveUrl, ArchiveUrlError, Objects};
pub use purge::{Purged, purge_on_postgres, purge_on_sqlite};
pub use reader::Archive;
pub use release::Release;
pub use source::{EndedJobs, GatherError};
