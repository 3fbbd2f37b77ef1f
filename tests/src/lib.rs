//! What the system tests stand on.

pub mod history;
pub mod postgres;
