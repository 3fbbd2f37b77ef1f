//! Everything that can have happened to a runner.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::RunnerId;

/// A fact about one runner. Stream: `runner/{runner_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum RunnerEvent {
    #[serde(rename = "runner.registered")]
    Registered(RunnerRegistered),
    #[serde(rename = "runner.heartbeat_recorded")]
    HeartbeatRecorded(RunnerHeartbeatRecorded),
    #[serde(rename = "runner.lost")]
    Lost(RunnerLost),
    #[serde(rename = "runner.returned")]
    Returned(RunnerReturned),
    #[serde(rename = "runner.removed")]
    Removed(RunnerRemoved),
}

/// The runner made itself known, or made itself known again with something changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerRegistered {
    /// The runner.
    pub runner_id: RunnerId,
    /// What it can do; `None` is unrestricted (dialect B), an empty list can do only what demands nothing.
    pub capabilities: Option<Vec<String>>,
    /// One start of the runner's process, where it tells: a reused name is not the old process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When.
    pub registered_at: DateTime<Utc>,
}

/// The runner was heard of. Recorded at most once in the heartbeat resolution; in between only memory knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerHeartbeatRecorded {
    /// The runner.
    pub runner_id: RunnerId,
    /// When.
    pub heartbeat_at: DateTime<Utc>,
}

/// The runner was silent for too long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerLost {
    /// The runner.
    pub runner_id: RunnerId,
    /// Its last sign of life.
    pub last_seen_at: DateTime<Utc>,
    /// When it was given up.
    pub lost_at: DateTime<Utc>,
}

/// A lost runner spoke again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerReturned {
    /// The runner.
    pub runner_id: RunnerId,
    /// When.
    pub returned_at: DateTime<Utc>,
}

/// The runner was deleted by an operator. If it speaks again, it is registered anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerRemoved {
    /// The runner.
    pub runner_id: RunnerId,
    /// When.
    pub removed_at: DateTime<Utc>,
}
