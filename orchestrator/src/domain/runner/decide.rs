//! The rules of a runner.

use chrono::{DateTime, Utc};
use rivet_events::elapsed;
use rivet_events::runner::{
    Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded, RunnerLost, RunnerRegistered,
    RunnerRemoved, RunnerReturned,
};

use super::command::{LoseRunner, RecordHeartbeat, RegisterRunner, RunnerCommand};
use super::state::{Registered, RunnerState};

/// A heartbeat after so many events tells what the runner is registered as.
const WHOLE_EVERY: u32 = 64;

/// Why a command to a runner was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RunnerError {
    /// No such runner.
    #[error("there is no such runner")]
    NotFound,
}

/// Decides a command: returns the events to record, or why it is refused. No events means that there is nothing new.
pub(super) fn decide(state: &RunnerState, command: RunnerCommand) -> Result<Vec<RunnerEvent>, RunnerError> {
    match (state, command) {
        (RunnerState::Absent | RunnerState::Removed(_), RunnerCommand::Register(register)) => {
            Ok(vec![registered(register)])
        }
        (RunnerState::Registered(runner), RunnerCommand::Register(register)) => {
            let changed = runner.capabilities != register.capabilities || runner.boot_id != register.boot_id;
            // Recorded regardless of the heartbeat resolution: a runner that registers wants to be seen online.
            Ok(if changed { vec![registered(register)] } else { vec![heard(runner, register.now)] })
        }
        // Runners do not register a second time by themselves, so one that is not known is registered by its
        // heartbeat.
        (RunnerState::Absent, RunnerCommand::Heartbeat(RecordHeartbeat { runner_id, now, .. })) => {
            let register =
                RegisterRunner { runner_id, capabilities: Capabilities::default(), boot_id: None, now };
            Ok(vec![registered(register)])
        }
        // It registered as what it is before it was removed, and does not do so again.
        (RunnerState::Removed(runner), RunnerCommand::Heartbeat(RecordHeartbeat { runner_id, now, .. })) => {
            let (capabilities, boot_id) = (runner.capabilities.clone(), runner.boot_id.clone());
            Ok(vec![registered(RegisterRunner { runner_id, capabilities, boot_id, now })])
        }
        (RunnerState::Registered(runner), RunnerCommand::Heartbeat(heartbeat)) => {
            let age = elapsed(runner.heard_at, heartbeat.now);
            let worth_it = runner.lost || age >= heartbeat.resolution;
            Ok(if worth_it { vec![heard(runner, heartbeat.now)] } else { vec![] })
        }
        (RunnerState::Registered(runner), RunnerCommand::Lose(lose)) => Ok(lose_if_silent(runner, &lose)),
        // It was removed in between: there is nothing to record as lost.
        (RunnerState::Absent | RunnerState::Removed(_), RunnerCommand::Lose(_)) => Ok(vec![]),
        (RunnerState::Registered(runner), RunnerCommand::Remove(remove)) => {
            Ok(vec![RunnerEvent::Removed(RunnerRemoved {
                runner_id: runner.runner_id.clone(),
                removed_at: remove.now,
            })])
        }
        (RunnerState::Absent | RunnerState::Removed(_), RunnerCommand::Remove(_)) => {
            Err(RunnerError::NotFound)
        }
    }
}

fn registered(register: RegisterRunner) -> RunnerEvent {
    RunnerEvent::Registered(RunnerRegistered {
        runner_id: register.runner_id,
        capabilities: register.capabilities,
        boot_id: register.boot_id,
        registered_at: register.now,
    })
}

fn heard(runner: &Registered, now: DateTime<Utc>) -> RunnerEvent {
    let runner_id = runner.runner_id.clone();
    if runner.lost {
        RunnerEvent::Returned(RunnerReturned { runner_id, returned_at: now })
    } else {
        let registration = (runner.since_whole >= WHOLE_EVERY).then(|| Registration {
            capabilities: runner.capabilities.clone(),
            boot_id: runner.boot_id.clone(),
            registered_at: runner.registered_at,
        });
        RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded { runner_id, heartbeat_at: now, registration })
    }
}

fn lose_if_silent(runner: &Registered, lose: &LoseRunner) -> Vec<RunnerEvent> {
    let last_seen_at = lose.last_contact.map_or(runner.heard_at, |contact| contact.max(runner.heard_at));
    let silence = elapsed(last_seen_at, lose.now);
    if runner.lost || silence <= lose.offline_after {
        return vec![];
    }
    vec![RunnerEvent::Lost(RunnerLost {
        runner_id: runner.runner_id.clone(),
        last_seen_at,
        lost_at: lose.now,
    })]
}
