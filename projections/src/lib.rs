//! Read models of Rivet: derived from the log, disposable, rebuildable.
//!
//! - [`projection`]: what a read model is, and the list of them all; [`pipelines`], [`jobs`], [`job_queue`],
//!   [`runners`], [`job_logs`], [`pipeline_activity`], [`job_flow`], [`webhooks`],
//!   `lifetimes`: each the question that it answers, its fold, and its queries;
//! - `read_models`: the open read models, waiting for a position, status; `as_of`: rows that are not waited for;
//! - `past`: read models as they were; [`parked`]: what they have given up;
//! - `projector`: keeps them up to date; `rebuild`: makes them anew beside the live ones; `verify`, `density`: prove them;
//!   `archiving`: lets go of what is in the archive;
//! - `rows`, `checkpoint`, `generation`: how they are stored; `batch`: the one way in which they change; `unstored`: what
//!   is folded and waits for that; `lease`: which process changes them.
//!
//! This crate knows no aggregate and no command. A read model is a hint: only an aggregate says yes.

mod archiving;
mod as_of;
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
mod known_rows;
mod lease;
mod lifetimes;
mod page;
pub mod parked;
mod past;
pub mod pipeline_activity;
pub mod pipelines;
pub mod projection;
mod projector;
mod query;
mod read_models;
pub mod rebuild;
mod rows;
pub mod runners;
pub mod status;
#[cfg(test)]
mod testing;
mod unstored;
pub mod verify;
pub mod webhooks;

pub use archiving::{NotReleased, Released};
pub use as_of::AsOf;
pub use page::{Cursor, CursorError, MAX_PAGE_BYTES, Page, Room};
pub use past::PastError;
pub use query::QueryError;
pub use read_models::ReadModels;
