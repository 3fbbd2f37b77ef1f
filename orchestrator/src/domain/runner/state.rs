//! What has come of a runner's events.

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;
use rivet_events::runner::RunnerEvent;
use serde::{Deserialize, Serialize};

/// A runner, by whether it is on the list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunnerState {
    /// Never registered, or removed since.
    #[default]
    Absent,
    /// On the list.
    Registered(Registered),
}

/// A runner on the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// Its name.
    pub runner_id: RunnerId,
    /// What it can do; `None` is everything.
    pub capabilities: Option<Vec<String>>,
    /// The last start of its process that it told of.
    pub boot_id: Option<String>,
    /// Its last recorded sign of life.
    pub heard_at: DateTime<Utc>,
    /// Whether it was given up.
    pub lost: bool,
}

impl RunnerState {
    /// The state after one more event. An event that does not fit the state changes nothing.
    #[must_use]
    pub fn evolve(self, event: RunnerEvent) -> Self {
        match (self, event) {
            (_, RunnerEvent::Registered(e)) => Self::Registered(Registered {
                runner_id: e.runner_id,
                capabilities: e.capabilities,
                boot_id: e.boot_id,
                heard_at: e.registered_at,
                lost: false,
            }),
            (Self::Registered(runner), RunnerEvent::HeartbeatRecorded(e)) => {
                Self::Registered(Registered { heard_at: e.heartbeat_at, ..runner })
            }
            (Self::Registered(runner), RunnerEvent::Lost(_)) => {
                Self::Registered(Registered { lost: true, ..runner })
            }
            (Self::Registered(runner), RunnerEvent::Returned(e)) => {
                Self::Registered(Registered { heard_at: e.returned_at, lost: false, ..runner })
            }
            (_, RunnerEvent::Removed(_))
            | (
                Self::Absent,
                RunnerEvent::HeartbeatRecorded(_) | RunnerEvent::Lost(_) | RunnerEvent::Returned(_),
            ) => Self::Absent,
        }
    }
}
