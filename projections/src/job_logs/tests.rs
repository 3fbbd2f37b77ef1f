//! Given events, then places of batches; given batches, then a page.

use std::sync::Arc;

use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use rivet_events::{Envelope, Event, Position, StreamId};

use super::places::Places;
use super::queries::{cut, key};
use super::{JobLogs, LogBatch};
use crate::testing::{Scene, at, envelope, row_after};

fn appended(attempt: u32, first_index: u64, messages: &[&str]) -> JobLogAppended {
    let s = Scene::new(1);
    let entry =
        |message: &&str| LogEntry { timestamp: at(0), level: LogLevel::Info, message: (*message).to_owned() };
    JobLogAppended {
        job_id: s.job_id,
        pipeline_id: s.pipeline_id,
        attempt,
        offset: 0,
        first_index,
        entries: LogEntries::new(&messages.iter().map(entry).collect::<Vec<_>>()),
        digest: String::new(),
        appended_at: at(3),
    }
}

#[test]
fn a_batch_is_a_row_under_the_index_of_its_first_entry() {
    let appended = appended(2, 7, &["one", "two"]);
    let bytes = appended.entries.json().len() as u64;
    let key = format!("{}/000000000007", appended.job_id);
    let row = row_after(&JobLogs, &key, [Event::JobLog(JobLogEvent::Appended(appended))]);
    assert_eq!(row, Some(LogBatch { bytes, first_index: 7, position: Position(1) }));
}

#[test]
fn keys_of_one_job_are_in_the_order_of_its_entries() {
    let s = Scene::new(1);
    assert!(key(s.job_id, 9) < key(s.job_id, 10));
    assert!(key(s.job_id, u64::MAX) < key(Scene::new(2).job_id, 0));
}

#[test]
fn a_page_begins_inside_a_batch_and_counts_over_attempts() {
    let batches = [appended(1, 1, &["a", "b", "c"]), appended(2, 4, &["d", "e"])];
    let event = |(position, batch): (u64, JobLogAppended)| {
        let stream = StreamId::job_log(batch.job_id);
        Arc::new(envelope(position, stream, position, Event::JobLog(JobLogEvent::Appended(batch))))
    };
    let events: Vec<Arc<Envelope>> = (1..).zip(batches).map(event).collect();
    let cut = |after, limit, is_whole| cut(&events, after, limit, is_whole).unwrap();
    let page = cut(1, 3, true);
    let seen: Vec<(u64, u32, &str)> =
        page.entries.iter().map(|e| (e.index, e.attempt, e.entry.message.as_str())).collect();
    assert_eq!(seen, [(2, 1, "b"), (3, 1, "c"), (4, 2, "d")]);
    assert_eq!(page.next, Some(4));
    assert_eq!(cut(1, 4, true).next, None);
    assert_eq!(cut(1, 4, false).next, Some(5));
    assert_eq!(cut(5, 3, false).next, None);
}

/// A batch that begins with this index, at a position that is a hundred times that.
fn place(first_index: u64) -> LogBatch {
    LogBatch { bytes: 10, first_index, position: Position(first_index * 100) }
}

#[test]
fn what_is_not_stored_follows_what_is() {
    let places = |stored: &[u64], unstored: &[u64], after| {
        let places = |batches: &[u64]| batches.iter().map(|first_index| place(*first_index)).collect();
        let Places { positions, is_whole } = Places::new(places(stored), places(unstored), after, 10);
        assert!(is_whole);
        positions.iter().map(|position| position.0 / 100).collect::<Vec<_>>()
    };
    assert_eq!(places(&[1], &[3, 4], 0), [1, 3, 4]);
    // A batch that was stored meanwhile.
    assert_eq!(places(&[1, 3], &[3, 4], 0), [1, 3, 4]);
    // Those that the reader has seen are left out.
    assert_eq!(places(&[], &[1, 3, 4], 1), [1, 3, 4]);
    assert_eq!(places(&[], &[1, 3, 4], 2), [3, 4]);
    assert_eq!(places(&[], &[1, 3, 4], 9), [4]);
    // Those before are in the archive.
    assert_eq!(places(&[3, 4], &[], 0), [3, 4]);
    assert_eq!(places(&[], &[], 0), [0; 0]);
}

#[test]
fn a_page_is_no_more_than_was_asked_for() {
    let places = |limit, bytes| {
        let stored = [1, 3, 4, 9].map(|first_index| LogBatch { bytes, ..place(first_index) });
        let Places { positions, is_whole } = Places::new(stored.into(), vec![place(20)], 1, limit);
        (positions.len(), is_whole)
    };
    // One entry more, which tells that there is more.
    assert_eq!(places(1, 10), (2, false));
    assert_eq!(places(2, 10), (3, false));
    assert_eq!(places(6, 10), (3, false));
    assert_eq!(places(7, 10), (4, false));
    assert_eq!(places(17, 10), (4, false));
    assert_eq!(places(18, 10), (5, true));
    assert_eq!(places(usize::MAX, 10), (5, true));
    // The database had more than a page, so what is not stored does not follow.
    assert_eq!(places(3, 10), (3, false));
    assert_eq!(places(usize::MAX, 1 << 20), (2, false));
}
