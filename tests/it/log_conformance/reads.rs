//! What was appended is read back.

use std::sync::Arc;

use rivet_events::id::JobId;
use rivet_events::job::JobEvent;
use rivet_events::log::{LogSettings, StreamWrite, read_from_whole, read_newest};
use rivet_events::{Event, Position, StreamId, StreamType, Version};
use rivet_tests::history::unreadable;

use super::fixture::{Place, append, assert_dense, claim, claimed, launch, launched, table_only, write};

on_every_log! {
    what_is_appended_is_read_back,
    an_unknown_event_can_be_read,
    a_stream_of_an_unknown_kind_can_be_read,
    an_id_may_hold_any_character,
    memory_and_table_tell_the_same,
    watchers_learn_of_every_append,
}

async fn what_is_appended_is_read_back(place: Place) {
    let log = place.open(table_only()).await;
    let (one, other) = (JobId::generate(), JobId::generate());
    assert_eq!(log.head().await.unwrap(), Position(0));
    assert!(log.read_all(Position(0), 10).await.unwrap().is_empty());
    assert!(log.read_stream(&StreamId::job(one), Version(0)).await.unwrap().is_empty());

    let two_events = append(vec![write(one, 0, vec![launched(one), claimed(one)])]);
    let first = log.append(two_events.clone()).await.unwrap();
    let second = log.append(launch(other)).await.unwrap();
    let third = log.append(claim(one, 2)).await.unwrap();

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
    for (position, count) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (9, 3)] {
        let found = read_newest(&*log, &StreamId::job(one), Position(position)).await.unwrap();
        assert_eq!(found, stream[..count], "at {position}");
        let found = read_from_whole(&*log, &StreamId::job(one), Position(position), |_| true).await.unwrap();
        assert_eq!(found, stream[..count], "at {position}");
    }
}

async fn an_unknown_event_can_be_read(place: Place) {
    let log = place.open(table_only()).await;
    let job = JobId::generate();
    log.append(append(vec![write(job, 0, vec![launched(job), unreadable("job.teleported")])])).await.unwrap();
    log.append(claim(job, 2)).await.unwrap();

    let all = log.read_all(Position(0), 10).await.unwrap();
    assert_eq!(all, log.read_stream(&StreamId::job(job), Version(0)).await.unwrap());
    let Event::Unreadable(read) = &all[1].event else { panic!("{:?}", all[1]) };
    assert_eq!(
        (read.event_type.as_str(), read.event_version, read.payload.get()),
        ("job.teleported", 7, r#"{"type":"job.teleported"}"#)
    );
    assert!(matches!(all[0].event, Event::Job(JobEvent::Launched(_))));
    assert!(matches!(all[2].event, Event::Job(JobEvent::Claimed(_))));
}

async fn a_stream_of_an_unknown_kind_can_be_read(place: Place) {
    let log = place.open(table_only()).await;
    let stream = |kind| StreamId::new(StreamType::Unknown(kind), "1");
    let job = JobId::generate();
    let writes = vec![
        StreamWrite { stream: stream("gadget"), ..write(job, 0, vec![unreadable("gadget.made")]) },
        StreamWrite { stream: stream("widget"), ..write(job, 0, vec![unreadable("widget.made")]) },
        write(job, 0, vec![launched(job)]),
    ];
    let appended = log.append(append(writes)).await.unwrap().envelopes;
    let more = StreamWrite { stream: stream("gadget"), ..write(job, 1, vec![unreadable("gadget.sold")]) };
    let sold = log.append(append(vec![more])).await.unwrap().envelopes;

    let all = [&appended[..], &sold[..]].concat();
    assert_eq!(log.read_all(Position(0), 10).await.unwrap(), all);
    let gadget = log.read_stream(&stream("gadget"), Version(0)).await.unwrap();
    assert_eq!(gadget, [Arc::clone(&appended[0]), Arc::clone(&sold[0])]);
    assert_eq!(gadget[0].stream.to_string(), "gadget/1");
    assert!(matches!(gadget[0].event, Event::Unreadable(_)));
}

async fn an_id_may_hold_any_character(place: Place) {
    let log = place.open(table_only()).await;
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

async fn memory_and_table_tell_the_same(place: Place) {
    let log = place.open(LogSettings { recent_events: 8, ..LogSettings::default() }).await;
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

async fn watchers_learn_of_every_append(place: Place) {
    let log = place.open(LogSettings::default()).await;
    let mut watch = log.watch();
    assert_eq!(*watch.borrow_and_update(), Position(0));
    let job = JobId::generate();
    log.append(append(vec![write(job, 0, vec![launched(job), claimed(job)])])).await.unwrap();
    assert_eq!(*watch.wait_for(|head| *head >= Position(2)).await.unwrap(), Position(2));
    log.append(launch(JobId::generate())).await.unwrap();
    assert!(watch.has_changed().unwrap(), "before the append is answered");
}
