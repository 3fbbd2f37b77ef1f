//! The facts of Rivet, and the append-only log that keeps them.
//!
//! - [`event`]: every event there is, by aggregate in [`pipeline`], [`job`], [`job_log`], [`runner`], [`claim`],
//!   [`group`], [`mod@projection`], [`webhook`], [`archive`];
//! - [`envelope`]: what surrounds an event in the log; [`stream`]: whose it is; [`id`]: typed ids;
//! - [`log`]: the contract of the log and its keepers; [`database`]: the connections under it.
//!   [`contacts`]: what replicas tell each other aside from the log; [`deliveries`]: how far webhooks are;
//!   [`segments`]: logs of ended jobs that are kept outside of the database.
//!
//! This crate knows no command and no read model.

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

pub use envelope::{Envelope, Metadata, Position, Version};
pub use event::Event;
pub use stream::{StreamId, StreamType};
