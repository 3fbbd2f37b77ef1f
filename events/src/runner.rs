//! The events of a runner.

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

/// The runner registered, or registered again with something changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerRegistered {
    /// The runner.
    pub runner_id: RunnerId,
    /// Its capabilities. `None` means unrestricted (dialect B); with an empty list it gets only jobs without demands.
    #[schema(value_type = Option<Vec<String>>)]
    pub capabilities: Capabilities,
    /// Identifies one start of the runner's process, if it sends this: tells a new process with the same name from
    /// the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When.
    pub registered_at: DateTime<Utc>,
}

/// What a runner can do; `None` means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub Option<Vec<String>>);

impl Capabilities {
    /// Whether the runner may take a job with these demands.
    #[must_use]
    pub fn covers(&self, demands: &[String]) -> bool {
        self.missing(demands).next().is_none()
    }

    /// Those of these demands that the runner does not meet.
    pub fn missing<'a>(&'a self, demands: &'a [String]) -> impl Iterator<Item = &'a String> {
        let restricted_to = self.0.as_ref();
        demands.iter().filter(move |demand| restricted_to.is_some_and(|names| !names.contains(demand)))
    }
}

/// The runner made contact. Recorded at most once per heartbeat resolution; contacts in between are not events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunnerHeartbeatRecorded {
    /// The runner.
    pub runner_id: RunnerId,
    /// When.
    pub heartbeat_at: DateTime<Utc>,
    /// What it is registered as: in one of many, so that its stream need not be read from further back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// What a runner is registered as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// Its capabilities.
    #[schema(value_type = Option<Vec<String>>)]
    pub capabilities: Capabilities,
    /// Identifies the start of its process, as it last registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When it first registered, since it was last removed.
    pub registered_at: DateTime<Utc>,
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
