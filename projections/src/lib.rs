//! Read models of Rivet: derived from the log, disposable, rebuildable.
//!
//! ARCHITECTURE.md maps this crate. It contains no aggregate and no command. A read model is a hint: only an aggregate
//! decides.

mod archiving;
mod at_least;
mod awaited;
mod batch;
mod bulk;
mod checkpoint;
mod columns;
mod density;
mod folding;
mod generation;
pub mod job_flow;
pub mod job_logs;
pub mod job_queue;
pub mod jobs;
mod leadership;
mod lease;
mod lifetimes;
mod page;
pub mod parked;
mod past;
mod period;
pub mod pipeline_activity;
pub mod pipelines;
pub mod projection;
mod projector;
mod query;
mod read_models;
pub mod rebuild;
mod row_cache;
mod rows;
pub mod runners;
pub mod status;
#[cfg(test)]
mod testing;
mod unstored;
pub mod verify;
pub mod webhooks;

pub use archiving::{NotReleased, Released, Wait};
pub use at_least::AtLeast;
pub use leadership::Leadership;
pub use page::{Cursor, CursorError, MAX_PAGE_BYTES, Page, Room};
pub use past::PastError;
pub use period::Period;
pub use query::QueryError;
pub use read_models::ReadModels;
