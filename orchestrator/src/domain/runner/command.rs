//! The commands to a runner.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;
use rivet_events::runner::Capabilities;

/// A command to one runner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunnerCommand {
    Register(RegisterRunner),
    Heartbeat(RecordHeartbeat),
    Lose(LoseRunner),
    Remove(RemoveRunner),
}

command_names! {
    RunnerCommand {
        Register => "register",
        Heartbeat => "heartbeat",
        Lose => "lose",
        Remove => "remove",
    }
}

/// The runner registers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RegisterRunner {
    /// Its name.
    pub runner_id: RunnerId,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Identifies this start of its process, if it sends that.
    pub boot_id: Option<String>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// The runner made contact. A runner that never registered is registered by it, with all capabilities; one that was
/// removed, with those that it had.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordHeartbeat {
    /// Its name.
    pub runner_id: RunnerId,
    /// The contact is recorded only if the last recorded one is at least this old.
    pub resolution: Duration,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Record the runner as lost if it is silent. Sent by a reconciler; the runner checks again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoseRunner {
    /// The last contact that this server knows of.
    pub last_contact: Option<DateTime<Utc>>,
    /// How long it may be silent.
    pub offline_after: Duration,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Remove the runner from the list; sent by an operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RemoveRunner {
    /// Time of the command.
    pub now: DateTime<Utc>,
}
