//! The domain rules: pure aggregates that turn a command into events or a refusal.
//!
//! Each aggregate has the same files: `command.rs` (the commands that it takes), `state.rs` (its state; `evolve`, which
//! applies one event, cannot fail and holds no rules; and its weight, where it has one), `decide.rs` (the rules, and the
//! errors of refusals), `tests.rs` (given, when, then), and in `mod.rs` its [`Decider`], which makes it an aggregate of
//! cqrs-es. Nothing here does I/O: time, ids and randomness arrive in the command.
//!
//! Only the job is public: `rivet-tests` searches its lease protocol.

/// A command with a name, for metrics.
pub trait NamedCommand {
    /// The names of all commands of the aggregate.
    const NAMES: &'static [&'static str];

    /// Its name.
    fn name(&self) -> &'static str;
}

/// Implements [`NamedCommand`] for the command enum of an aggregate, whose variants have one payload each.
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

pub(crate) mod archive;
mod decider;
pub(crate) mod group;
pub mod job;
pub(crate) mod job_log;
pub(crate) mod pipeline;
pub(crate) mod projection;
pub(crate) mod runner;
#[cfg(test)]
mod spec;
pub(crate) mod webhook;
mod weight;

pub(crate) use decider::AggregateOf;
pub use decider::Decider;
