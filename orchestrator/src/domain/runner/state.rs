//! The state of a runner, folded from its events.

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;
use rivet_events::runner::{Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded};
use serde::{Deserialize, Serialize};

use crate::domain::weight::of_texts;

/// A runner, by whether it is registered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum RunnerState {
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
#[expect(clippy::struct_field_names, reason = "`registered_at` is the name that the events have for it")]
pub(crate) struct Registered {
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

/// Applies one event. An event that does not fit the state changes nothing.
pub(super) fn evolve(state: RunnerState, event: RunnerEvent) -> RunnerState {
    match (state, event) {
        (state, RunnerEvent::Registered(e)) => {
            let (registered_at, since_whole) = match state {
                RunnerState::Registered(runner) => (runner.registered_at, runner.since_whole + 1),
                RunnerState::Removed(runner) => (e.registered_at, runner.since_whole + 1),
                RunnerState::Absent => (e.registered_at, 0),
            };
            RunnerState::Registered(Registered {
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
            RunnerState::Registered(Registered {
                runner_id,
                capabilities,
                boot_id,
                registered_at,
                heard_at,
                lost: false,
                since_whole: 0,
            })
        }
        (RunnerState::Registered(runner), RunnerEvent::HeartbeatRecorded(e)) => {
            RunnerState::Registered(Registered { heard_at: e.heartbeat_at, ..runner.one_event_on() })
        }
        (RunnerState::Registered(runner), RunnerEvent::Lost(_)) => {
            RunnerState::Registered(Registered { lost: true, ..runner.one_event_on() })
        }
        (RunnerState::Registered(runner), RunnerEvent::Returned(e)) => RunnerState::Registered(Registered {
            heard_at: e.returned_at,
            lost: false,
            ..runner.one_event_on()
        }),
        (RunnerState::Registered(runner), RunnerEvent::Removed(_)) => {
            RunnerState::Removed(runner.one_event_on())
        }
        (
            state @ (RunnerState::Absent | RunnerState::Removed(_)),
            RunnerEvent::HeartbeatRecorded(_)
            | RunnerEvent::Lost(_)
            | RunnerEvent::Returned(_)
            | RunnerEvent::Removed(_),
        ) => state,
    }
}

impl RunnerState {
    /// Its capabilities; unrestricted where it never told any.
    #[must_use]
    pub(crate) fn capabilities(&self) -> Capabilities {
        match self {
            Self::Registered(runner) | Self::Removed(runner) => runner.capabilities.clone(),
            Self::Absent => Capabilities::default(),
        }
    }
}

/// The size of its capabilities and its boot id.
pub(super) fn weight(state: &RunnerState) -> usize {
    match state {
        RunnerState::Absent => 0,
        RunnerState::Registered(runner) | RunnerState::Removed(runner) => {
            of_texts(runner.capabilities.0.iter().flatten()) + of_texts(&runner.boot_id)
        }
    }
}
