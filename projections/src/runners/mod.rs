//! Which runners there are, what each can do, and what it holds.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use chrono::serde::ts_microseconds_option;
use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::runner::Capabilities;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use fold::Runners;
pub(crate) use queries::names_with;
pub use queries::{RunnerCounts, RunnerFilter, counts, find, find_at, find_at_least, list, list_at};

/// A runner. One that holds jobs but was never registered, or was removed, has a row that is not shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runner {
    /// The runner.
    pub id: RunnerId,
    /// Its current state.
    pub status: RunnerStatus,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Identifies one start of its process, if it sent this.
    pub boot_id: Option<String>,
    /// When it first registered; `None` if it is not registered, or not any more.
    #[serde(with = "ts_microseconds_option")]
    pub registered_at: Option<DateTime<Utc>>,
    /// When it was last recorded to be alive.
    #[serde(with = "ts_microseconds_option")]
    pub last_heartbeat_at: Option<DateTime<Utc>>,
    /// Since when it is lost, if it is.
    #[serde(with = "ts_microseconds_option")]
    pub lost_at: Option<DateTime<Utc>>,
    /// The jobs that it holds, in the order of their claims.
    pub held: Vec<HeldJob>,
}

/// A runner's state on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RunnerStatus {
    /// Alive, and holds nothing.
    Online,
    /// Silent for too long, and holds nothing.
    Offline,
    /// Holds a job.
    Busy,
}

impl RunnerStatus {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "Online",
            Self::Offline => "Offline",
            Self::Busy => "Busy",
        }
    }
}

/// A job that a runner holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldJob {
    /// The job.
    pub job_id: JobId,
    /// Which attempt of it.
    pub attempt: u32,
    /// The fencing token of the attempt.
    pub lease_id: LeaseId,
    /// Whether the runner echoes it.
    pub fencing: bool,
    /// Whether the runner is to stop it.
    pub cancelling: bool,
    /// Identifies the process that claimed it, if the runner has told that by then, or since.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Whether another process has registered under the runner's name since the claim: the process that claimed the
    /// job is gone.
    #[serde(default)]
    pub orphaned: bool,
}
