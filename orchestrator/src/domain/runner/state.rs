//! The state of a runner, folded from its events.

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;
use rivet_events::runner::{Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded};
use serde::{Deserialize, Serialize};

/// A runner, by whether it is registered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunnerState {
    /// Never registered.
    #[default]
    Absent,
    /// Registered.
    Registered(Registered),
    /// Removed from the list. If it is alive, its next contact registers it again as what it was.
    Removed(Registered),
}

/// A registered runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// Its name.
    pub runner_id: RunnerId,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Identifies the start of its process, as it last registered.
    pub boot_id: Option<String>,
    /// When it first registered, since it was last removed.
    pub registered_at: DateTime<Utc>,
    /// Its last recorded contact.
    pub heard_at: DateTime<Utc>,
    /// Whether it is recorded as lost, that is, offline.
    pub lost: bool,
    /// Events since one that tells all of the above.
    pub since_whole: u32,
}

impl Registered {
    fn one_event_on(self) -> Self {
        Self { since_whole: self.since_whole + 1, ..self }
    }
}

impl RunnerState {
    /// Its capabilities; unrestricted where it never told any.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Registered(runner) | Self::Removed(runner) => runner.capabilities.clone(),
            Self::Absent => Capabilities::default(),
        }
    }

    /// Applies one event. An event that does not fit the state changes nothing.
    #[must_use]
    pub fn evolve(self, event: RunnerEvent) -> Self {
        match (self, event) {
            (state, RunnerEvent::Registered(e)) => {
                let (registered_at, since_whole) = match state {
                    Self::Registered(runner) => (runner.registered_at, runner.since_whole + 1),
                    Self::Removed(runner) => (e.registered_at, runner.since_whole + 1),
                    Self::Absent => (e.registered_at, 0),
                };
                Self::Registered(Registered {
                    runner_id: e.runner_id,
                    capabilities: e.capabilities,
                    boot_id: e.boot_id,
                    registered_at,
                    heard_at: e.registered_at,
                    lost: false,
                    since_whole,
                })
            }
            // Also as the first event that is read of a long stream.
            (
                _,
                RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
                    runner_id,
                    heartbeat_at,
                    registration: Some(registration),
                }),
            ) => {
                let Registration { capabilities, boot_id, registered_at } = registration;
                let heard_at = heartbeat_at;
                Self::Registered(Registered {
                    runner_id,
                    capabilities,
                    boot_id,
                    registered_at,
                    heard_at,
                    lost: false,
                    since_whole: 0,
                })
            }
            (Self::Registered(runner), RunnerEvent::HeartbeatRecorded(e)) => {
                Self::Registered(Registered { heard_at: e.heartbeat_at, ..runner.one_event_on() })
            }
            (Self::Registered(runner), RunnerEvent::Lost(_)) => {
                Self::Registered(Registered { lost: true, ..runner.one_event_on() })
            }
            (Self::Registered(runner), RunnerEvent::Returned(e)) => {
                Self::Registered(Registered { heard_at: e.returned_at, lost: false, ..runner.one_event_on() })
            }
            (Self::Registered(runner), RunnerEvent::Removed(_)) => Self::Removed(runner.one_event_on()),
            (
                state @ (Self::Absent | Self::Removed(_)),
                RunnerEvent::HeartbeatRecorded(_)
                | RunnerEvent::Lost(_)
                | RunnerEvent::Returned(_)
                | RunnerEvent::Removed(_),
            ) => state,
        }
    }
}
