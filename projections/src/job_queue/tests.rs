//! Given events, then the queue.

use rivet_events::job::{Concurrency, JobEvent, JobLaunched, JobStatus};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::{Event, Position};

use super::fold::indexable;
use super::{JobQueue, QueuedJob};
use crate::testing::{Scene, at, row_after};

fn queued(events: impl IntoIterator<Item = Event>) -> Option<QueuedJob> {
    row_after(&JobQueue, &Scene::new(1).job_id, events)
}

fn with_priority(priority: u8, seconds: i64) -> Event {
    Event::Job(JobEvent::Launched(JobLaunched { priority, ..Scene::new(1).launched(seconds) }))
}

#[test]
fn a_launched_job_waits_with_its_demands_sorted() {
    let job = queued([Scene::new(1).launch(0)]).unwrap();
    assert_eq!((job.queued_at, job.due_at, job.needs_fencing), (Some(at(0)), at(0), false));
    assert_eq!(job.demands, ["docker", "gpu"]);
    assert_eq!(job.demands_key.as_deref(), Some("docker\u{1f}gpu"));
}

#[test]
fn one_level_of_priority_overtakes_ten_minutes_of_waiting() {
    let order = |priority, seconds| queued([with_priority(priority, seconds)]).unwrap().claim_order;
    assert!(order(6, 599) < order(5, 0));
    assert!(order(6, 601) > order(5, 0));
    assert!(order(5, 0) < order(5, 1));
    assert!(order(9, 0) < order(0, 0));
}

#[test]
fn a_held_job_is_not_offered_and_is_remembered() {
    let s = Scene::new(1);
    let job = queued([s.launch(0), s.claim(1, 5)]).unwrap();
    assert_eq!((job.queued_at, job.claim_order, job.demands_key, job.attempt), (None, None, None, 1));
}

#[test]
fn a_requeued_job_waits_again_with_what_it_was_launched_with() {
    let s = Scene::new(1);
    let launched = queued([s.launch(0)]).unwrap();
    let job = queued([s.launch(0), s.claim(1, 5), s.requeue(1, 60, 62)]).unwrap();
    assert_eq!((job.queued_at, job.due_at, job.needs_fencing), (Some(at(60)), at(62), true));
    assert_eq!((job.requested_at, job.demands.len(), job.attempt), (at(0), 2, 1));
    assert_eq!((job.claim_order, job.demands_key), (launched.claim_order, launched.demands_key));
}

#[test]
fn a_job_keeps_the_position_of_its_launch() {
    let s = Scene::new(1);
    let launched = queued([s.launch(0)]).unwrap().launched_at;
    let requeued = queued([s.launch(0), s.claim(1, 5), s.requeue(1, 60, 62)]).unwrap().launched_at;
    assert_eq!((launched, requeued), (Position(1), Position(1)));
}

#[test]
fn only_a_job_whose_policy_says_so_cancels_those_launched_before_it() {
    let cancels_before = |policy| {
        let concurrency = Some(Concurrency { group: "g".to_owned(), limit: 1, policy });
        let launched = JobLaunched { concurrency, ..Scene::new(1).launched(0) };
        queued([Event::Job(JobEvent::Launched(launched))]).unwrap().cancels_before
    };
    assert_eq!(cancels_before(ConcurrencyPolicy::Queue), None);
    assert_eq!(cancels_before(ConcurrencyPolicy::CancelOlder), Some(Position(1)));
}

#[test]
fn an_ended_job_leaves_the_queue() {
    let s = Scene::new(1);
    assert_eq!(queued([s.launch(0), s.claim(1, 5), s.complete(1, JobStatus::Succeeded, 9)]), None);
    assert_eq!(queued([s.launch(0), s.claim(1, 5), s.time_out(1, 9)]), None);
    assert_eq!(queued([s.launch(0), s.cancel(0, 9)]), None);
}

#[test]
fn what_an_index_would_refuse_is_replaced_by_its_digest() {
    assert_eq!(indexable("short"), "short");
    let (long, other) = ("a".repeat(5000), "b".repeat(5000));
    assert!(indexable(&long).len() < 100);
    assert_ne!(indexable(&long), indexable(&other));
}
