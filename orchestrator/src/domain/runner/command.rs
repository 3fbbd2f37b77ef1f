//! What can be asked of a runner.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;

/// A command to one runner.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum RunnerCommand {
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

/// The runner makes itself known.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterRunner {
    /// Its name.
    pub runner_id: RunnerId,
    /// What it can do; `None` is everything.
    pub capabilities: Option<Vec<String>>,
    /// This start of its process, where it tells.
    pub boot_id: Option<String>,
    /// When.
    pub now: DateTime<Utc>,
}

/// The runner was heard of. One that never registered is registered by it, without restrictions.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordHeartbeat {
    /// Its name.
    pub runner_id: RunnerId,
    /// A sign of life is recorded only if the last recorded one is older than this.
    pub resolution: Duration,
    /// When.
    pub now: DateTime<Utc>,
}

/// Give the runner up if it is silent. Asked by a reconciler; the runner checks again.
#[derive(Debug, Clone, PartialEq)]
pub struct LoseRunner {
    /// The last sign of life that this server knows of.
    pub last_contact: Option<DateTime<Utc>>,
    /// How long it may be silent.
    pub offline_after: Duration,
    /// When.
    pub now: DateTime<Utc>,
}

/// An operator takes the runner off the list.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoveRunner {
    /// When.
    pub now: DateTime<Utc>,
}
