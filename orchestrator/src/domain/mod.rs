//! The rules: pure aggregates that turn a command into events or a refusal.
//!
//! Each aggregate has the same files: `command.rs` (what can be asked), `state.rs` (what has come of its events:
//! `evolve`, which cannot fail and holds no rules), `decide.rs` (the rules and their refusals), `tests.rs` (given,
//! when, then), and in `mod.rs` the adapter to cqrs-es. Nothing here does I/O: time, ids and chance arrive in the
//! command.

/// A command that has a name, for those who count.
pub trait NamedCommand {
    /// The names of all commands of the aggregate.
    const NAMES: &'static [&'static str];

    /// Its name.
    fn name(&self) -> &'static str;
}

/// Names the commands of an aggregate: each variant has one payload.
macro_rules! command_names {
    ($command:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl crate::domain::NamedCommand for $command {
            const NAMES: &'static [&'static str] = &[$($name),+];

            fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name),+
                }
            }
        }
    };
}

pub mod archive;
pub mod group;
pub mod job;
pub mod job_log;
pub mod pipeline;
pub mod projection;
pub mod runner;
#[cfg(test)]
mod spec;
pub mod webhook;
mod weight;

pub use weight::Weigh;
