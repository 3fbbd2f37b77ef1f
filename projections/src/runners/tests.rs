//! Given events, then the runner.

use rivet_events::Event;
use rivet_events::job::JobStatus;
use rivet_events::runner::{
    Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded, RunnerLost, RunnerRegistered,
    RunnerRemoved, RunnerReturned,
};

use super::{Runner, RunnerStatus, Runners};
use crate::testing::{Scene, at, row_after};

fn runner(events: impl IntoIterator<Item = Event>) -> Option<Runner> {
    row_after(&Runners, &"runner-1", events)
}

fn registered(capabilities: Option<&[&str]>, seconds: i64) -> Event {
    Event::Runner(RunnerEvent::Registered(RunnerRegistered {
        runner_id: "runner-1".parse().unwrap(),
        capabilities: Capabilities(capabilities.map(|names| names.iter().map(ToString::to_string).collect())),
        boot_id: None,
        registered_at: at(seconds),
    }))
}

fn booted(boot_id: &str, seconds: i64) -> Event {
    Event::Runner(RunnerEvent::Registered(RunnerRegistered {
        runner_id: "runner-1".parse().unwrap(),
        capabilities: Capabilities::default(),
        boot_id: Some(boot_id.to_owned()),
        registered_at: at(seconds),
    }))
}

fn lost(seconds: i64) -> Event {
    let runner_id = "runner-1".parse().unwrap();
    Event::Runner(RunnerEvent::Lost(RunnerLost { runner_id, last_seen_at: at(0), lost_at: at(seconds) }))
}

fn returned(seconds: i64) -> Event {
    let runner_id = "runner-1".parse().unwrap();
    Event::Runner(RunnerEvent::Returned(RunnerReturned { runner_id, returned_at: at(seconds) }))
}

fn removed(seconds: i64) -> Event {
    let runner_id = "runner-1".parse().unwrap();
    Event::Runner(RunnerEvent::Removed(RunnerRemoved { runner_id, removed_at: at(seconds) }))
}

#[test]
fn a_runner_without_capabilities_differs_from_one_that_names_none() {
    assert_eq!(runner([registered(None, 0)]).unwrap().capabilities, Capabilities(None));
    assert_eq!(runner([registered(Some(&[]), 0)]).unwrap().capabilities, Capabilities(Some(vec![])));
}

#[test]
fn registering_again_keeps_the_first_time() {
    let runner = runner([registered(None, 0), registered(Some(&["gpu"]), 9)]).unwrap();
    assert_eq!((runner.registered_at, runner.last_heartbeat_at), (Some(at(0)), Some(at(9))));
    assert_eq!(runner.capabilities, Capabilities(Some(vec!["gpu".to_owned()])));
}

#[test]
fn what_went_before_a_heartbeat_that_tells_the_registration_does_not_matter() {
    let s = Scene::new(1);
    let Event::Runner(RunnerEvent::Registered(registered)) = booted("one", 0) else { unreachable!() };
    let whole = Event::Runner(RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
        runner_id: registered.runner_id,
        heartbeat_at: at(9),
        registration: Some(Registration {
            capabilities: registered.capabilities,
            boot_id: registered.boot_id,
            registered_at: registered.registered_at,
        }),
    }));
    assert_eq!(runner([whole.clone()]), runner([booted("one", 0), whole.clone()]));
    // It may hold a job since before.
    let [read, of_all] = [vec![], vec![booted("one", 0)]].map(|before| {
        let events = before.into_iter().chain([s.launch(1), s.claim(1, 5), whole.clone()]);
        let row = runner(events).unwrap();
        let held = row.held.iter().map(|held| held.lease_id).collect::<Vec<_>>();
        (row.status, row.capabilities, row.boot_id, row.registered_at, row.last_heartbeat_at, held)
    });
    assert_eq!(read, of_all);
}

#[test]
fn a_lost_runner_is_offline_until_it_returns() {
    let gone = runner([registered(None, 0), lost(90)]).unwrap();
    assert_eq!((gone.status, gone.lost_at), (RunnerStatus::Offline, Some(at(90))));
    let back = runner([registered(None, 0), lost(90), returned(100)]).unwrap();
    assert_eq!(
        (back.status, back.lost_at, back.last_heartbeat_at),
        (RunnerStatus::Online, None, Some(at(100)))
    );
}

#[test]
fn a_runner_is_busy_while_it_holds_a_job() {
    let s = Scene::new(1);
    let begin = [registered(None, 0), s.launch(0), s.claim(1, 5), s.start(1, 6), s.ask_to_cancel(false, 7)];
    let busy = runner(begin.clone()).unwrap();
    assert_eq!(busy.status, RunnerStatus::Busy);
    let [held] = &busy.held[..] else { panic!("one job") };
    assert_eq!((held.job_id, held.attempt, held.lease_id), (s.job_id, 1, s.lease(1)));
    assert!(held.fencing && held.cancelling);

    for end in [
        s.complete(1, JobStatus::Succeeded, 9),
        s.expire(1, 9),
        s.requeue(1, 9, 9),
        s.cancel(1, 9),
        s.time_out(1, 9),
    ] {
        let idle = runner(begin.iter().cloned().chain([end])).unwrap();
        assert_eq!((idle.status, idle.held), (RunnerStatus::Online, vec![]));
    }
}

#[test]
fn another_process_of_the_same_name_orphans_what_the_former_one_holds() {
    let s = Scene::new(1);
    let orphaned = |before: Event, after: Event| {
        let row = runner([before, s.launch(0), s.claim(1, 5), after]).unwrap();
        row.held.iter().map(|held| held.orphaned).collect::<Vec<_>>()
    };
    assert_eq!(orphaned(booted("one", 0), booted("two", 6)), [true]);
    assert_eq!(orphaned(booted("one", 0), booted("one", 6)), [false]);
    // Without a boot id, it may be the same process.
    assert_eq!(orphaned(registered(None, 0), booted("two", 6)), [false]);
    assert_eq!(orphaned(booted("one", 0), registered(None, 6)), [false]);
}

#[test]
fn a_process_is_known_by_its_claim_whatever_came_between() {
    let s = Scene::new(1);
    let orphaned = |before: Event, between: Event, after: Event| {
        let row = runner([before, s.launch(0), s.claim(1, 5), between, after]).unwrap();
        row.held.iter().map(|held| held.orphaned).collect::<Vec<_>>()
    };
    for between in [removed(6), registered(None, 6)] {
        assert_eq!(orphaned(booted("one", 0), between.clone(), booted("two", 7)), [true]);
        assert_eq!(orphaned(booted("one", 0), between, booted("one", 7)), [false]);
    }
    // It was the first that told its boot id, or an earlier one.
    assert_eq!(orphaned(registered(None, 0), booted("one", 6), booted("two", 7)), [true]);
}

#[test]
fn a_lease_that_is_shown_before_the_start_makes_a_holder_one_that_fences() {
    let s = Scene::new(1);
    let fencing = |events: Vec<Event>| runner(events).unwrap().held[0].fencing;
    let claimed = vec![s.launch(0), s.claim(1, 5)];
    assert!(!fencing(claimed.clone()));
    assert!(fencing([claimed, vec![s.show_lease(1, 6)]].concat()));
}

#[test]
fn what_is_orphaned_stays_so_and_what_is_claimed_later_is_not() {
    let (s, later) = (Scene::new(1), Scene::new(2));
    let row = runner([
        booted("one", 0),
        s.launch(0),
        s.claim(1, 5),
        booted("two", 6),
        booted("two", 7),
        later.launch(8),
        later.claim(1, 9),
    ]);
    assert_eq!(row.unwrap().held.iter().map(|held| held.orphaned).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_removed_runner_is_forgotten_once_it_holds_nothing() {
    let s = Scene::new(1);
    assert_eq!(runner([registered(None, 0), removed(1)]), None);
    let holding = [registered(None, 0), s.launch(0), s.claim(1, 5), removed(6)];
    let row = runner(holding.clone()).unwrap();
    assert_eq!((row.registered_at, row.held.len()), (None, 1));
    assert_eq!(runner(holding.into_iter().chain([s.complete(1, JobStatus::Failed, 9)])), None);
}

#[test]
fn a_runner_that_never_registered_is_there_only_for_its_jobs() {
    let s = Scene::new(1);
    assert_eq!(runner([s.launch(0), s.claim(1, 5)]).unwrap().registered_at, None);
    assert_eq!(runner([s.launch(0), s.claim(1, 5), s.complete(1, JobStatus::Failed, 9)]), None);
}
