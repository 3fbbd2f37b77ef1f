//! Pipelines: created, revised, read, deleted.

pub(super) mod create;
mod define;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
