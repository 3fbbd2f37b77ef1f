//! The events of Rivet, and the append-only log that stores them.
//!
//! - [`event`]: all events; each aggregate has a module of its own: [`pipeline`], [`job`], [`job_log`], [`runner`],
//!   [`claim`], [`group`], [`mod@projection`], [`webhook`], [`archive`];
//! - [`envelope`]: position and metadata of an event in the log; [`stream`]: stream ids; [`id`]: typed ids;
//! - [`log`]: the [`EventLog`](log::EventLog) trait and its storage backends; [`database`]: the connections under it;
//! - [`segments`]: the archive, which keeps the logs of ended jobs outside of the database;
//! - [`contacts`] and [`deliveries`]: tables beside the log, for the last contact of each runner and the delivery
//!   progress of each webhook.
//!
//! This crate contains no command and no read model.

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

pub use envelope::{CLOCKS_DIFFER, Envelope, Metadata, Position, Version};
pub use event::Event;
pub use stream::{StreamId, StreamType};
