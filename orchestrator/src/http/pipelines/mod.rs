//! Pipelines: created, revised, rolled back, read in all their versions, deleted.

pub(super) mod create;
mod define;
pub(super) mod delete;
pub(super) mod diff;
pub(super) mod get;
pub(super) mod list;
pub(super) mod revise;
pub(super) mod roll_back;
pub(super) mod versions;
