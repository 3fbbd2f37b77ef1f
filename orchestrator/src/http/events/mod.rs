//! The feed of everything that happened.

mod envelope;
pub(super) mod history;
pub(super) mod list;

pub(crate) use envelope::EventBody;
