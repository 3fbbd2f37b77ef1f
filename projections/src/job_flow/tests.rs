//! Given events at their minutes, then the rows of the ring buffer.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use rivet_events::job::{JobEvent, JobStatus};
use rivet_events::{Envelope, Event};

use super::{JobFlow, MINUTES, Minute};
use crate::projection::Projection;
use crate::rows::memory::MemoryRows;
use crate::testing::{Scene, at, log_of};

/// The rows after events that were recorded at these minutes, oldest first.
fn rows(events: impl IntoIterator<Item = (i64, Event)>) -> Vec<Minute> {
    let (minutes, events): (Vec<i64>, Vec<Event>) = events.into_iter().unzip();
    let log = minutes.into_iter().zip(log_of(events)).map(|(minute, envelope)| {
        let recorded_at = at(0) + TimeDelta::minutes(minute);
        Arc::new(Envelope { recorded_at, ..Arc::unwrap_or_clone(envelope) })
    });
    let mut rows = MemoryRows::default();
    rows.advance(&JobFlow, &log.collect::<Vec<_>>());
    let mut minutes: Vec<Minute> =
        rows.documents.values().map(|document| serde_json::from_str(document).unwrap()).collect();
    minutes.sort_by_key(|minute| minute.minute);
    minutes
}

fn minute(n: i64) -> Minute {
    Minute { minute: Minute::of(at(0)) + n, ..Minute::default() }
}

#[test]
fn each_minute_counts_what_happened_in_it() {
    let s = Scene::new(1);
    let told = rows([
        (0, s.launch(0)),
        (0, s.claim(1, 1)),
        (0, s.start(1, 2)),
        (1, s.expire(1, 60)),
        (1, s.requeue(1, 60, 60)),
        (3, s.claim(2, 180)),
        (3, s.complete(2, JobStatus::Failed, 181)),
    ]);
    assert_eq!(
        told,
        [
            Minute { launched: 1, claimed: 1, ..minute(0) },
            Minute { requeued: 1, ..minute(1) },
            Minute { claimed: 1, failed: 1, ..minute(3) },
        ]
    );
}

#[test]
fn an_end_in_the_queue_is_told_from_one_at_a_runner() {
    let (a, b) = (Scene::new(1), Scene::new(2));
    let told = rows([
        (0, a.launch(0)),
        (0, b.launch(0)),
        (0, b.claim(1, 1)),
        (1, a.cancel(0, 60)),
        (1, b.time_out(1, 60)),
    ]);
    assert_eq!(told[1], Minute { cancelled: 1, timed_out: 1, ended_waiting: 1, ..minute(1) });
}

#[test]
fn the_wait_of_a_claim_begins_when_the_job_could_be_claimed() {
    let s = Scene::new(1);
    let claim = |attempt: u32, ready: i64, seconds: i64| {
        let Event::Job(JobEvent::Claimed(mut claimed)) = s.claim(attempt, seconds) else { panic!("a claim") };
        claimed.ready_at = Some(at(ready));
        Event::Job(JobEvent::Claimed(claimed))
    };
    let told = rows([
        (0, s.launch(0)),
        (0, claim(1, 0, 5)),
        (0, s.requeue(1, 6, 10)),
        (0, claim(2, 10, 12)),
        (0, s.requeue(2, 13, 13)),
        // Another replica's clock is behind.
        (0, claim(3, 13, 11)),
    ]);
    let expected = Minute { launched: 1, claimed: 3, requeued: 2, waited_ms: 7_000, ..minute(0) };
    assert_eq!(told, [Minute { longest_wait_ms: 5_000, ..expected }]);
}

#[test]
fn a_minute_takes_the_place_of_the_one_a_day_before_and_of_one_by_a_clock_that_was_ahead() {
    let (a, b, c) = (Scene::new(1), Scene::new(2), Scene::new(3));
    let day = i64::from(MINUTES);
    let told = rows([(0, a.launch(0)), (day, b.launch(0))]);
    assert_eq!(told, [Minute { launched: 1, ..minute(day) }]);
    let told = rows([(0, a.launch(0)), (30 * day, b.launch(0)), (day, c.launch(0))]);
    assert_eq!(told, [Minute { launched: 1, ..minute(day) }]);
}

#[test]
fn a_minute_lapses_after_a_day() {
    let row = minute(0);
    let at = |minutes: i64| DateTime::from_timestamp((row.minute + minutes) * 60, 0).unwrap();
    assert!(!JobFlow::has_lapsed(&row, at(i64::from(MINUTES))));
    assert!(JobFlow::has_lapsed(&row, at(i64::from(MINUTES) + 1)));
}
