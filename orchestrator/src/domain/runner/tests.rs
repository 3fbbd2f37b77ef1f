//! The rules of a runner, as given, when, then. Times are seconds.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::RunnerId;
use rivet_events::runner::{
    Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded, RunnerLost, RunnerRegistered,
    RunnerRemoved, RunnerReturned,
};

use super::{
    LoseRunner, RecordHeartbeat, RegisterRunner, RemoveRunner, RunnerCommand, RunnerError, RunnerState,
};
use crate::domain::Decider;
use crate::domain::spec::Given;

fn given(events: impl Into<Vec<RunnerEvent>>) -> Given<RunnerState> {
    crate::domain::spec::given(events)
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn runner() -> RunnerId {
    "runner-1".parse().unwrap()
}

fn registration(second: i64) -> RunnerRegistered {
    RunnerRegistered {
        runner_id: runner(),
        capabilities: Capabilities(Some(vec!["docker".to_owned()])),
        boot_id: Some("boot-1".to_owned()),
        registered_at: at(second),
    }
}

fn registered(second: i64) -> RunnerEvent {
    RunnerEvent::Registered(registration(second))
}

fn heard(second: i64) -> RunnerEvent {
    RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
        runner_id: runner(),
        heartbeat_at: at(second),
        registration: None,
    })
}

fn lost(last_seen: i64, second: i64) -> RunnerEvent {
    RunnerEvent::Lost(RunnerLost { runner_id: runner(), last_seen_at: at(last_seen), lost_at: at(second) })
}

fn returned(second: i64) -> RunnerEvent {
    RunnerEvent::Returned(RunnerReturned { runner_id: runner(), returned_at: at(second) })
}

fn removed(second: i64) -> RunnerEvent {
    RunnerEvent::Removed(RunnerRemoved { runner_id: runner(), removed_at: at(second) })
}

fn register(second: i64) -> RegisterRunner {
    let RunnerRegistered { runner_id, capabilities, boot_id, registered_at: now } = registration(second);
    RegisterRunner { runner_id, capabilities, boot_id, now }
}

fn heartbeat(second: i64) -> RunnerCommand {
    RunnerCommand::Heartbeat(RecordHeartbeat {
        runner_id: runner(),
        resolution: Duration::from_secs(30),
        now: at(second),
    })
}

fn lose(second: i64) -> LoseRunner {
    LoseRunner { last_contact: None, offline_after: Duration::from_secs(90), now: at(second) }
}

fn remove(second: i64) -> RunnerCommand {
    RunnerCommand::Remove(RemoveRunner { now: at(second) })
}

impl From<RegisterRunner> for RunnerCommand {
    fn from(register: RegisterRunner) -> Self {
        Self::Register(register)
    }
}

impl From<LoseRunner> for RunnerCommand {
    fn from(lose: LoseRunner) -> Self {
        Self::Lose(lose)
    }
}

/// Given these events, whether a silence of 91 s after `second` loses the runner, and one of 90 s does not.
fn assert_heard_at(events: &[RunnerEvent], second: i64) {
    given(events).when(lose(second + 90)).then_nothing();
    given(events).when(lose(second + 91)).then([lost(second, second + 91)]);
}

#[test]
fn a_runner_registers_with_what_it_can_do() {
    given([]).when(register(0)).then([registered(0)]);
}

#[test]
fn registering_again_with_something_changed_is_recorded_whole() {
    let other_capabilities = RegisterRunner { capabilities: Capabilities::default(), ..register(5) };
    given([registered(0)]).when(other_capabilities).then([RunnerEvent::Registered(RunnerRegistered {
        capabilities: Capabilities::default(),
        ..registration(5)
    })]);
    let other_boot = RegisterRunner { boot_id: Some("boot-2".to_owned()), ..register(5) };
    given([registered(0)]).when(other_boot).then([RunnerEvent::Registered(RunnerRegistered {
        boot_id: Some("boot-2".to_owned()),
        ..registration(5)
    })]);
}

#[test]
fn registering_again_unchanged_is_a_sign_of_life_recorded_at_once() {
    given([registered(0)]).when(register(5)).then([heard(5)]);
    given([registered(0), lost(0, 91)]).when(register(95)).then([returned(95)]);
}

#[test]
fn a_heartbeat_of_an_unknown_runner_registers_it_without_restrictions() {
    let unrestricted = RunnerEvent::Registered(RunnerRegistered {
        capabilities: Capabilities::default(),
        boot_id: None,
        ..registration(3)
    });
    given([]).when(heartbeat(3)).then([unrestricted]);
}

#[test]
fn a_heartbeat_of_a_removed_runner_registers_it_as_what_it_was() {
    given([registered(0), removed(1)]).when(heartbeat(3)).then([registered(3)]);
}

#[test]
fn a_heartbeat_is_recorded_only_when_the_last_recorded_sign_of_life_is_old_enough() {
    given([registered(0)]).when(heartbeat(29)).then_nothing();
    given([registered(0)]).when(heartbeat(30)).then([heard(30)]);
    given([registered(0), heard(30)]).when(heartbeat(59)).then_nothing();
    given([registered(0), heard(30)]).when(heartbeat(60)).then([heard(60)]);
}

#[test]
fn a_heartbeat_after_many_events_tells_what_the_runner_is_registered_as() {
    let history: Vec<_> = [registered(0)].into_iter().chain((1..=64).map(|n| heard(30 * n))).collect();
    let RunnerRegistered { capabilities, boot_id, registered_at, .. } = registration(0);
    let whole = RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
        runner_id: runner(),
        heartbeat_at: at(30 * 65),
        registration: Some(Registration { capabilities, boot_id, registered_at }),
    });
    given(history[..64].to_vec()).when(heartbeat(30 * 64)).then([heard(30 * 64)]);
    given(history.clone()).when(heartbeat(30 * 65)).then([whole.clone()]);

    let fold =
        |events: &[RunnerEvent]| events.iter().cloned().fold(RunnerState::default(), RunnerState::evolve);
    let all = [history, vec![whole.clone(), lost(30 * 65, 9_000)]].concat();
    assert_eq!(fold(&all), fold(&[whole, lost(30 * 65, 9_000)]));
    given(all).when(heartbeat(9_001)).then([returned(9_001)]);
}

#[test]
fn a_heartbeat_by_a_clock_that_is_behind_is_nothing_new() {
    given([registered(0)]).when(heartbeat(-100)).then_nothing();
}

#[test]
fn a_lost_runner_that_speaks_has_returned() {
    given([registered(0), lost(0, 91)]).when(heartbeat(92)).then([returned(92)]);
    given([registered(0), lost(0, 10)]).when(heartbeat(11)).then([returned(11)]);
    given([registered(0), lost(0, 91), returned(92)]).when(heartbeat(93)).then_nothing();
}

#[test]
fn a_runner_is_lost_after_its_silence() {
    assert_heard_at(&[registered(0)], 0);
    assert_heard_at(&[registered(0), heard(30)], 30);
    assert_heard_at(&[registered(0), lost(0, 91), returned(100)], 100);
}

#[test]
fn contact_that_was_not_recorded_keeps_a_runner() {
    let spoke_at_50 = |second| LoseRunner { last_contact: Some(at(50)), ..lose(second) };
    given([registered(0)]).when(spoke_at_50(140)).then_nothing();
    given([registered(0)]).when(spoke_at_50(141)).then([lost(50, 141)]);
    given([registered(0), heard(60)]).when(spoke_at_50(150)).then_nothing();
}

#[test]
fn a_runner_is_lost_once() {
    given([registered(0), lost(0, 91)]).when(lose(1000)).then_nothing();
}

#[test]
fn nobody_is_given_up_who_is_not_on_the_list() {
    given([]).when(lose(1000)).then_nothing();
    given([registered(0), removed(1)]).when(lose(1000)).then_nothing();
}

#[test]
fn a_removed_runner_is_gone_until_it_registers_again() {
    given([registered(0)]).when(remove(1)).then([removed(1)]);
    given([registered(0), removed(1)]).when(remove(2)).then_refused(RunnerError::NotFound);
    given([]).when(remove(2)).then_refused(RunnerError::NotFound);
    given([registered(0), removed(1)]).when(register(3)).then([registered(3)]);
}

#[test]
fn what_a_runner_tells_of_itself_has_its_weight() {
    let long = "x".repeat(1_000_000);
    let capabilities = Capabilities(Some(vec![long.clone()]));
    let registered = RunnerRegistered { capabilities, boot_id: Some(long.clone()), ..registration(0) };
    let state = RunnerState::default().evolve(RunnerEvent::Registered(registered));
    assert!(state.weight() >= 2 * long.len());
}
