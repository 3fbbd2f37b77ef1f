//! The rules: pure aggregates that turn a command into events or a refusal.
//!
//! Each aggregate has the same files: `command.rs` (what can be asked), `state.rs` (what has come of its events:
//! `evolve`, which cannot fail and holds no rules), `decide.rs` (the rules and their refusals), `tests.rs` (given,
//! when, then), and in `mod.rs` the adapter to cqrs-es. Nothing here does I/O: time, ids and chance arrive in the
//! command.

pub mod group;
pub mod job;
pub mod job_log;
pub mod pipeline;
pub mod runner;
#[cfg(test)]
mod spec;
pub mod webhook;
