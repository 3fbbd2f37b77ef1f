//! Read models of Rivet: derived from the log, disposable, rebuildable.
//!
//! - [`projection`]: the trait of a read model, and the list of all: [`pipelines`], [`jobs`], [`job_queue`],
//!   [`runners`], [`job_logs`], [`pipeline_activity`], [`job_flow`], `lifetimes`, [`webhooks`]. Each module has the
//!   question that it answers, its row, its fold, and its queries;
//! - `read_models`: the handle that queries go through, and waiting for a position; `query`, `page`, `period`: SQL,
//!   pages and filters; `at_least`: single rows, before they are stored; `past`: read models as they were; [`status`]: their lag;
//! - `projector`: the loop that keeps read models up to date; `batch`, `folding`: how one batch of events changes
//!   them; `unstored`: the buffer of rows that are not stored yet; `row_cache`: rows of the last batches; `lease`:
//!   which process runs the projector; `leadership`: work that only this process does; [`parked`]: streams whose events could not be applied;
//! - `rows`, `columns`: the tables on both databases; `checkpoint`, `generation`: how far each table is, and which one
//!   of a read model is live;
//! - [`rebuild`], `bulk`: rebuilding beside the live read models; [`verify`], `density`: checking read models and
//!   log; `archiving`: deleting what is archived or purged.
//!
//! This crate contains no aggregate and no command. A read model is a hint: only an aggregate decides.

mod archiving;
mod at_least;
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
