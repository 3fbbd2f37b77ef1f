//! Segments: where the logs of ended jobs are kept outside of the database.
//!
//! A segment is an object in a directory or an S3-compatible store. It holds the `job_log` events of some jobs as they
//! were stored, and is made once and never changed ([`mod@format`]). `index` finds the part of a segment that holds a log,
//! and is how rows of the log turn into a part of a segment, in one transaction; [`Archive`] reads logs back. `purge`
//! deletes what is not to be kept at all.

pub mod format;
mod index;
mod objects;
mod purge;
mod reader;
mod source;

pub use format::{Block, Segment, SegmentError, SegmentWriter, StoredEvent};
pub use index::Release;
pub use objects::{ArchiveUrl, ArchiveUrlError, Objects};
pub use purge::{Doomed, Purged, purge_on_postgres, purge_on_sqlite};
pub use reader::Archive;
pub use source::{EndedJobs, GatherError};
