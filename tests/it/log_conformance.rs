//! Conformance tests that every implementation of the log must pass.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use futures_util::future::join_all;
use rivet_events::event::UnreadableEvent;
use rivet_events::id::JobId;
use rivet_events::job::JobEvent;
use rivet_events::log::{AppendError, LogSettings, StreamWrite};
use rivet_events::{Event, Position, StreamId, StreamType, Version};
use serde_json::json;
use serde_json::value::RawValue;

use fixture::{
    Store, append, assert_dense, cancel_requested, claimed, launch, launched, read_to_end, table_only, write,
};
use large_events::{
    a_range_of_large_events_goes_on_past_those_that_were_taken_out,
    a_read_beyond_what_is_heard_of_is_bounded_in_bytes, a_read_is_bounded_in_bytes,
};
use order::readers_never_see_a_gap_or_a_late_event;

mod fixture;
mod large_events;
mod order;
mod refused;
mod replicas;

async fn what_is_appended_is_read_back(store: Store) {
    let log = store.open(table_only()).await;
    let (one, other) = (JobId::generate(), JobId::generate());
    assert_eq!(log.head().await.unwrap(), Position(0));
    assert!(log.read_all(Position(0), 10).await.unwrap().is_empty());
    assert!(log.read_stream(&StreamId::job(one), Version(0)).await.unwrap().is_empty());

    let two_events = append(vec![write(one, 0, vec![launched(one), claimed(one, 1)])]);
    let first = log.append(two_events.clone()).await.unwrap();
    let second = log.append(launch(other)).await.unwrap();
    let third = log.append(append(vec![write(one, 2, vec![claimed(one, 2)])])).await.unwrap();

    assert_eq!(first.position(), Position(2));
    assert_eq!(first.envelopes[0].sequence, Version(1));
    assert_eq!(first.envelopes[0].event, two_events.writes[0].events[0]);
    assert_eq!(first.envelopes[0].metadata, two_events.metadata);
    assert_ne!(first.envelopes[0].event_id, first.envelopes[1].event_id);
    let all = [first.envelopes.clone(), second.envelopes.clone(), third.envelopes.clone()].concat();
    assert_eq!(log.read_all(Position(0), 10).await.unwrap(), all);
    assert_eq!(log.read_all(Position(1), 2).await.unwrap(), all[1..3]);
    assert_eq!(log.read_all(Position(1), 0).await.unwrap(), []);
    assert_eq!(log.read_all(Position(4), 10).await.unwrap(), []);
    assert_eq!(log.read_range(Position(0), Position(4)).await.unwrap().0, all);
    assert_eq!(log.read_range(Position(1), Position(3)).await.unwrap().0, all[1..3]);
    assert_eq!(log.read_range(Position(2), Position(2)).await.unwrap().0, []);
    assert_eq!(log.read_range(Position(3), Position(9)).await.unwrap().0, all[3..]);
    assert_eq!(log.read_at(&[]).await.unwrap(), []);
    let some = [Position(0), Position(1), Position(3), Position(5)];
    assert_eq!(log.read_at(&some).await.unwrap(), [Arc::clone(&all[0]), Arc::clone(&all[2])]);
    assert_eq!(log.head().await.unwrap(), Position(4));
    let stream = [first.envelopes, third.envelopes].concat();
    assert_eq!(log.read_stream(&StreamId::job(one), Version(0)).await.unwrap(), stream);
    assert_eq!(log.read_stream(&StreamId::job(one), Version(2)).await.unwrap(), stream[2..]);
    assert_eq!(log.read_stream(&StreamId::job_log(one), Version(0)).await.unwrap(), []);
    for (until, count, end) in
        [(Version::MAX, 2, 1..3), (Version::MAX, 9, 0..3), (Version(2), 1, 1..2), (Version(0), 9, 0..0)]
    {
        let found = log.read_stream_end(&StreamId::job(one), until, count).await.unwrap();
        assert_eq!(found, stream[end], "{count} up to {until}");
    }
    assert_eq!(log.read_stream_end(&StreamId::job_log(one), Version::MAX, 9).await.unwrap(), []);
}

async fn a_stale_append_is_refused_whole(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let (one, other) = (JobId::generate(), JobId::generate());
    log.append(launch(one)).await.unwrap();

    for wrong in [0, 2, 7] {
        let refused = log
            .append(append(vec![
                write(other, 0, vec![launched(other)]),
                write(one, wrong, vec![claimed(one, 1)]),
            ]))
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, AppendError::Conflict { stream, expected }
                if *stream == StreamId::job(one) && *expected == Version(wrong)),
            "{refused:?}"
        );
    }
    assert_eq!(log.head().await.unwrap(), Position(1));
    assert_eq!(log.read_stream(&StreamId::job(other), Version(0)).await.unwrap(), []);

    let both = append(vec![write(other, 0, vec![launched(other)]), write(one, 1, vec![claimed(one, 1)])]);
    assert_eq!(log.append(both).await.unwrap().position(), Position(3));
}

async fn a_conflict_leaves_its_neighbours_committed(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let taken = JobId::generate();
    log.append(launch(taken)).await.unwrap();

    // All of them are queued before the writer runs, so they share batches.
    let jobs: Vec<JobId> = (0..100).map(|_| JobId::generate()).collect();
    let appends = jobs.iter().enumerate().map(|(n, job)| {
        log.append(if n % 3 == 1 {
            append(vec![write(*job, 0, vec![launched(*job)]), write(taken, 0, vec![launched(taken)])])
        } else {
            launch(*job)
        })
    });
    let outcomes = join_all(appends).await;

    for (n, (job, outcome)) in jobs.iter().zip(outcomes).enumerate() {
        let stored = log.read_stream(&StreamId::job(*job), Version(0)).await.unwrap();
        if n % 3 == 1 {
            assert!(matches!(outcome, Err(AppendError::Conflict { .. })), "{outcome:?}");
            assert_eq!(stored, []);
        } else {
            assert_eq!(outcome.unwrap().envelopes, stored);
        }
    }
    let all = read_to_end(&log).await;
    assert_eq!(all.len(), 1 + 67);
    assert_dense(&all);
}

async fn a_write_without_events_only_asks_that_its_stream_has_not_moved(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let guard = JobId::generate();
    log.append(launch(guard)).await.unwrap();
    let guarded = |expected| {
        let job = JobId::generate();
        append(vec![write(guard, expected, vec![]), write(job, 0, vec![launched(job)])])
    };

    for outcome in join_all((0..20).map(|_| log.append(guarded(1)))).await {
        assert_eq!(outcome.unwrap().envelopes.len(), 1);
    }
    // The guarded stream moves between the fifth and the sixth.
    let appends = (0..10).map(|n| match n {
        5 => log.append(append(vec![write(guard, 1, vec![claimed(guard, 1)])])),
        _ => log.append(guarded(1)),
    });
    for (n, outcome) in join_all(appends).await.into_iter().enumerate() {
        match outcome {
            Ok(_) => assert!(n <= 5, "the guard had moved"),
            Err(AppendError::Conflict { stream, .. }) => assert!(n > 5 && stream == StreamId::job(guard)),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(log.read_stream(&StreamId::job(guard), Version(0)).await.unwrap().len(), 2);
    assert_dense(&read_to_end(&log).await);
}

async fn of_racing_appends_exactly_one_wins(store: Store) {
    let log = store.open(LogSettings::default()).await;
    for _ in 0..10 {
        let job = JobId::generate();
        log.append(launch(job)).await.unwrap();
        let claims = (1..=64).map(|n| log.append(append(vec![write(job, 1, vec![claimed(job, n)])])));
        let outcomes = join_all(claims).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|outcome| matches!(
            outcome,
            Ok(_) | Err(AppendError::Conflict { expected: Version(1), .. })
        )));
        assert_eq!(log.read_stream(&StreamId::job(job), Version(0)).await.unwrap().len(), 2);
    }
}

async fn appends_to_one_stream_keep_their_order(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let job = JobId::generate();
    let appends = (0..50).map(|n| log.append(append(vec![write(job, n, vec![claimed(job, 1)])])));
    for outcome in join_all(appends).await {
        outcome.unwrap();
    }
    assert_eq!(log.read_stream(&StreamId::job(job), Version(0)).await.unwrap().len(), 50);
}

async fn a_malformed_append_is_refused(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let job = JobId::generate();
    let twice = vec![write(job, 0, vec![launched(job)]), write(job, 1, vec![claimed(job, 1)])];
    for writes in [vec![], vec![write(job, 0, vec![])], twice] {
        let refused = log.append(append(writes)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Unavailable(_)), "{refused:?}");
    }
    assert_eq!(log.head().await.unwrap(), Position(0));
}

async fn positions_are_dense_and_in_commit_order(store: Store) {
    readers_never_see_a_gap_or_a_late_event(vec![store.open(LogSettings::default()).await]).await;
}

async fn a_full_queue_refuses_at_once(store: Store) {
    let log = store.open(LogSettings { queue_appends: 3, ..LogSettings::default() }).await;
    let jobs: Vec<JobId> = (0..10).map(|_| JobId::generate()).collect();
    // On one thread, the writer cannot run before all of them have been queued.
    let outcomes = join_all(jobs.iter().map(|job| log.append(launch(*job)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert!(outcomes[3..].iter().all(|outcome| matches!(outcome, Err(AppendError::Overloaded))));
    log.append(launch(jobs[9])).await.unwrap();
    assert_eq!(log.head().await.unwrap(), Position(4));
}

async fn the_bytes_that_wait_are_bounded(store: Store) {
    let settings = LogSettings { queue_bytes: 10_000, batch_bytes: 5_000, ..LogSettings::default() };
    let log = store.open(settings).await;
    let job = JobId::generate();
    let big = |bytes| append(vec![write(job, 0, vec![cancel_requested(job, "x".repeat(bytes))])]);
    let small = JobId::generate();
    let outcomes = join_all([log.append(big(20_000)), log.append(launch(small))]).await;
    assert!(outcomes[0].is_ok(), "a single append of any size is taken: {outcomes:?}");
    assert!(matches!(outcomes[1], Err(AppendError::Overloaded)), "{outcomes:?}");
    let jobs: Vec<JobId> = (0..8).map(|_| JobId::generate()).collect();
    for outcome in join_all(jobs.iter().map(|job| log.append(launch(*job)))).await {
        outcome.unwrap();
    }
    assert_dense(&read_to_end(&log).await);
}

fn unknown(event_type: &str, payload: &str) -> Event {
    Event::Unreadable(UnreadableEvent {
        payload: RawValue::from_string(payload.to_owned()).unwrap(),
        event_type: event_type.to_owned(),
        event_version: 7,
        error: String::new(),
    })
}

async fn an_unknown_event_can_be_read(store: Store) {
    let log = store.open(table_only()).await;
    let payload = json!({"type": "job.teleported", "to": "Mars"}).to_string();
    let job = JobId::generate();
    let teleported = unknown("job.teleported", &payload);
    log.append(append(vec![write(job, 0, vec![launched(job), teleported])])).await.unwrap();
    log.append(append(vec![write(job, 2, vec![claimed(job, 1)])])).await.unwrap();

    let all = log.read_all(Position(0), 10).await.unwrap();
    assert_eq!(all, log.read_stream(&StreamId::job(job), Version(0)).await.unwrap());
    let Event::Unreadable(read) = &all[1].event else { panic!("{:?}", all[1]) };
    assert_eq!(
        (read.event_type.as_str(), read.event_version, read.payload.get()),
        ("job.teleported", 7, payload.as_str())
    );
    assert!(matches!(all[0].event, Event::Job(JobEvent::Launched(_))));
    assert!(matches!(all[2].event, Event::Job(JobEvent::Claimed(_))));
}

async fn a_stream_of_an_unknown_kind_can_be_read(store: Store) {
    let log = store.open(table_only()).await;
    let stream = |kind| StreamId::new(StreamType::Unknown(kind), "1");
    let job = JobId::generate();
    let writes = vec![
        StreamWrite { stream: stream("gadget"), ..write(job, 0, vec![unknown("gadget.made", "{}")]) },
        StreamWrite { stream: stream("widget"), ..write(job, 0, vec![unknown("widget.made", "{}")]) },
        write(job, 0, vec![launched(job)]),
    ];
    let appended = log.append(append(writes)).await.unwrap().envelopes;
    let more = StreamWrite { stream: stream("gadget"), ..write(job, 1, vec![unknown("gadget.sold", "{}")]) };
    let sold = log.append(append(vec![more])).await.unwrap().envelopes;

    let all = [&appended[..], &sold[..]].concat();
    assert_eq!(log.read_all(Position(0), 10).await.unwrap(), all);
    let gadget = log.read_stream(&stream("gadget"), Version(0)).await.unwrap();
    assert_eq!(gadget, [Arc::clone(&appended[0]), Arc::clone(&sold[0])]);
    assert_eq!(gadget[0].stream.to_string(), "gadget/1");
    assert!(matches!(gadget[0].event, Event::Unreadable(_)));
}

async fn an_id_may_hold_any_character(store: Store) {
    let log = store.open(table_only()).await;
    let ids = ["a\u{1f}b\u{1f}", "\u{1f}", "Zürich \u{1F680}", "\"[1]\"", "a/b\n"];
    for id in ids {
        let job = JobId::generate();
        let write =
            StreamWrite { stream: StreamId::new(StreamType::Job, id), ..write(job, 0, vec![launched(job)]) };
        log.append(append(vec![write])).await.unwrap();
    }
    let read = [
        log.read_all(Position(0), 10).await.unwrap(),
        log.read_range(Position(0), Position(5)).await.unwrap().0,
        log.read_at(&(1..=5).map(Position).collect::<Vec<_>>()).await.unwrap(),
    ];
    for events in read {
        let streams: Vec<&str> = events.iter().map(|envelope| envelope.stream.id.as_str()).collect();
        assert_eq!(streams, ids);
    }
    for (n, id) in (1..).zip(ids) {
        let stream = StreamId::new(StreamType::Job, id);
        let events = log.read_stream(&stream, Version(0)).await.unwrap();
        assert_eq!(events.iter().map(|envelope| envelope.position).collect::<Vec<_>>(), [Position(n)]);
    }
}

async fn memory_and_table_tell_the_same(store: Store) {
    let log = store.open(LogSettings { recent_events: 8, ..LogSettings::default() }).await;
    for _ in 0..80 {
        log.append(launch(JobId::generate())).await.unwrap();
    }
    // From before the events in memory, across their beginning, and within them.
    let from_start = log.read_all(Position(0), 100).await.unwrap();
    assert_dense(&from_start);
    assert_eq!(from_start.len(), 80);
    for after in 0..=80 {
        assert_eq!(
            log.read_all(Position(after), 100).await.unwrap(),
            from_start[usize::try_from(after).unwrap()..]
        );
    }
    let positions: Vec<Position> = from_start.iter().map(|envelope| envelope.position).collect();
    assert_eq!(log.read_at(&positions).await.unwrap(), from_start);
    for (after, until) in [(0, 80), (0, 33), (1, 32), (5, 70), (31, 64), (70, 80), (72, 80), (75, 78)] {
        assert_eq!(
            log.read_range(Position(after), Position(until)).await.unwrap().0,
            from_start[usize::try_from(after).unwrap()..usize::try_from(until).unwrap()]
        );
    }
    let inside = log.read_all(Position(72), 100).await.unwrap();
    let again = log.read_all(Position(72), 100).await.unwrap();
    assert!(Arc::ptr_eq(&inside[0], &again[0]), "served from memory");
}

async fn a_caller_that_leaves_does_not_undo_its_append(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let job = JobId::generate();
    {
        let mut leaving = Box::pin(log.append(launch(job)));
        assert!(futures_util::poll!(&mut leaving).is_pending());
    }
    let next = log.append(append(vec![write(job, 1, vec![claimed(job, 1)])])).await.unwrap();
    assert_eq!(next.position(), Position(2));
}

async fn watchers_learn_of_every_append(store: Store) {
    let log = store.open(LogSettings::default()).await;
    let mut watch = log.watch();
    assert_eq!(*watch.borrow_and_update(), Position(0));
    let job = JobId::generate();
    log.append(append(vec![write(job, 0, vec![launched(job), claimed(job, 1)])])).await.unwrap();
    assert_eq!(*watch.wait_for(|head| *head >= Position(2)).await.unwrap(), Position(2));
    log.append(launch(JobId::generate())).await.unwrap();
    assert!(watch.has_changed().unwrap(), "before the append is answered");
}

async fn closing_makes_durable_what_waits(store: Store) {
    let log = store.open(LogSettings { batch_appends: 4, ..LogSettings::default() }).await;
    let jobs: Vec<JobId> = (0..30).map(|_| JobId::generate()).collect();
    let (outcomes, ()) = tokio::join!(join_all(jobs.iter().map(|job| log.append(launch(*job)))), log.close());
    for outcome in outcomes {
        outcome.unwrap();
    }
    let late = log.append(launch(JobId::generate())).await;
    assert!(matches!(late, Err(AppendError::Unavailable(_))), "{late:?}");
    assert_eq!(log.head().await.unwrap(), Position(30));
    log.close().await;
}

async fn reopening_keeps_everything(store: Store) {
    let job = JobId::generate();
    let first = store.open(LogSettings::default()).await;
    let stored =
        first.append(append(vec![write(job, 0, vec![launched(job), claimed(job, 1)])])).await.unwrap();
    drop(first);
    let second = store.open(LogSettings::default()).await;
    assert_eq!(*second.watch().borrow(), Position(2));
    assert_eq!(second.read_all(Position(0), 10).await.unwrap(), stored.envelopes);
    assert!(matches!(second.append(launch(job)).await, Err(AppendError::Conflict { .. })));
    let next = second.append(append(vec![write(job, 2, vec![claimed(job, 2)])])).await.unwrap();
    assert_eq!(next.position(), Position(3));
}

macro_rules! conformance {
    ($($rule:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $rule() { super::$rule(super::Store::Memory).await; })+
        }
        conformance!(@durable sqlite: $($rule),+);
        conformance!(@durable postgres: $($rule),+);
    };
    (@durable $store:ident: $($rule:ident),+) => {
        conformance!(@of $store: $($rule),+, reopening_keeps_everything,
            a_range_of_large_events_goes_on_past_those_that_were_taken_out,
            a_read_beyond_what_is_heard_of_is_bounded_in_bytes);
    };
    (@of $store:ident: $($rule:ident),+) => {
        mod $store {
            $(#[tokio::test] async fn $rule() { super::$rule(super::Store::$store().await).await; })+
        }
    };
}

conformance!(
    what_is_appended_is_read_back,
    a_stale_append_is_refused_whole,
    a_conflict_leaves_its_neighbours_committed,
    a_write_without_events_only_asks_that_its_stream_has_not_moved,
    of_racing_appends_exactly_one_wins,
    appends_to_one_stream_keep_their_order,
    a_malformed_append_is_refused,
    positions_are_dense_and_in_commit_order,
    a_full_queue_refuses_at_once,
    the_bytes_that_wait_are_bounded,
    an_unknown_event_can_be_read,
    a_stream_of_an_unknown_kind_can_be_read,
    an_id_may_hold_any_character,
    memory_and_table_tell_the_same,
    a_read_is_bounded_in_bytes,
    a_caller_that_leaves_does_not_undo_its_append,
    watchers_learn_of_every_append,
    closing_makes_durable_what_waits,
);
