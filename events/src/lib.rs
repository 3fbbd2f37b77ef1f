//! The events of Rivet, and the append-only log that stores them.
//!
//! ARCHITECTURE.md maps this crate. It contains no command and no read model.

pub mod archive;
pub mod claim;
pub mod contacts;
pub mod cqrs;
pub mod database;
pub mod deliveries;
pub mod envelope;
pub mod event;
pub mod group;
pub mod id;
pub mod job;
pub mod job_log;
pub mod log;
pub mod pipeline;
pub mod projection;
pub mod runner;
pub mod segments;
pub mod stream;
mod upcast;
pub mod webhook;

pub use envelope::{CLOCKS_DIFFER, Envelope, Metadata, Position, Version, elapsed, is_mistaken};
pub use event::Event;
pub use stream::{StreamId, StreamType};
