//! The feed of everything that happened.

pub(super) mod history;
pub(super) mod list;
mod query;
pub(super) mod stream;
