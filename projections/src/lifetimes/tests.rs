//! Given events, then the lifetime; and the tree that lifetimes are stored in.

use rivet_events::Event;
use rivet_events::job::JobStatus;
use rivet_events::runner::{Capabilities, RunnerEvent, RunnerRegistered, RunnerRemoved};

use super::{Lifetime, Lifetimes, node_of, nodes_around};
use crate::testing::{Scene, at, row_after};

#[test]
fn a_position_finds_exactly_the_intervals_around_it() {
    let head = 40;
    let far = [1_000, 1 << 40, i64::MAX.cast_unsigned()];
    for first in 1..=head {
        for last in (first..=head).chain(far) {
            let node = node_of(first, last);
            assert!((first..=last).contains(&node), "{first} to {last} at {node}");
            for position in 0..=head {
                let (up_to, after) = nodes_around(position);
                let found = (up_to.contains(&node) && last >= position)
                    || (after.contains(&node) && first <= position);
                assert_eq!(found, (first..=last).contains(&position), "{first} to {last}, {position}");
            }
        }
    }
}

#[test]
fn a_job_lives_from_its_launch_to_its_end() {
    let s = Scene::new(1);
    let lifetime = |events: &[Event]| {
        row_after(&Lifetimes, &format!("job/{}", s.job_id), events.iter().cloned()).unwrap()
    };
    let alive =
        Lifetime { kind: "job".to_owned(), id: s.job_id.to_string(), born: 1, ended: None, node: None };
    let events = [s.launch(0), s.claim(1, 1), s.start(1, 2), s.complete(1, JobStatus::Succeeded, 3)];
    assert_eq!(lifetime(&events[..3]), alive);
    assert_eq!(lifetime(&events), Lifetime { ended: Some(4), node: Some(2), ..alive });
}

#[test]
fn a_runner_that_comes_back_is_as_one_that_was_never_away() {
    let runner_id: rivet_events::id::RunnerId = "runner-1".parse().unwrap();
    let registered = Event::Runner(RunnerEvent::Registered(RunnerRegistered {
        runner_id: runner_id.clone(),
        capabilities: Capabilities::default(),
        boot_id: None,
        registered_at: at(0),
    }));
    let removed = Event::Runner(RunnerEvent::Removed(RunnerRemoved { runner_id, removed_at: at(1) }));
    let lifetime = |events: &[&Event]| {
        let row = row_after(&Lifetimes, &"runner/runner-1", events.iter().map(|event| (*event).clone()));
        row.map(|row| (row.born, row.ended)).unwrap()
    };
    assert_eq!(lifetime(&[&registered, &removed]), (1, Some(2)));
    assert_eq!(lifetime(&[&registered, &removed, &registered]), (1, None));
}

#[test]
fn nothing_is_left_of_a_job_that_is_purged() {
    let s = Scene::new(1);
    let story = [s.launch(0), s.cancel(0, 1), s.purge(JobStatus::Cancelled, 9)];
    assert_eq!(row_after(&Lifetimes, &format!("job/{}", s.job_id), story), None);
}
