//! What the system tests stand on.

pub mod postgres;
