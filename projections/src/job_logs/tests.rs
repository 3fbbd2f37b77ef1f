//! Given events, then batches; given batches, then a page.

use rivet_events::Event;
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};

use super::queries::{cut, joined, key};
use super::{JobLogs, LogBatch};
use crate::testing::{Scene, at, row_after};

fn entry(message: &str) -> LogEntry {
    LogEntry { timestamp: at(0), level: LogLevel::Info, message: message.to_owned() }
}

fn entries(messages: &[&str]) -> LogEntries {
    LogEntries::new(&messages.iter().map(|message| entry(message)).collect::<Vec<_>>())
}

fn batch(attempt: u32, first_index: u64, messages: &[&str]) -> LogBatch {
    let entries = entries(messages);
    LogBatch {
        bytes: entries.json().len() as u64,
        job_id: Scene::new(1).job_id,
        attempt,
        first_index,
        appended_at: at(3),
        entries,
    }
}

#[test]
fn a_batch_is_a_row_under_the_index_of_its_first_entry() {
    let s = Scene::new(1);
    let appended = Event::JobLog(JobLogEvent::Appended(JobLogAppended {
        job_id: s.job_id,
        pipeline_id: s.pipeline_id,
        attempt: 2,
        offset: 0,
        first_index: 7,
        entries: entries(&["one", "two"]),
        digest: String::new(),
        appended_at: at(3),
    }));
    let key = format!("{}/000000000007", s.job_id);
    assert_eq!(row_after(&JobLogs, &key, [appended]), Some(batch(2, 7, &["one", "two"])));
}

#[test]
fn keys_of_one_job_are_in_the_order_of_its_entries() {
    let s = Scene::new(1);
    assert!(key(s.job_id, 9) < key(s.job_id, 10));
    assert!(key(s.job_id, u64::MAX) < key(Scene::new(2).job_id, 0));
}

#[test]
fn a_page_begins_inside_a_batch_and_counts_over_attempts() {
    let batches = || vec![batch(1, 1, &["a", "b", "c"]), batch(2, 4, &["d", "e"])];
    let cut = |after, limit, is_whole| cut(&batches(), after, limit, is_whole).unwrap();
    let page = cut(1, 3, true);
    let seen: Vec<(u64, u32, &str)> =
        page.entries.iter().map(|e| (e.index, e.attempt, e.entry.message.as_str())).collect();
    assert_eq!(seen, [(2, 1, "b"), (3, 1, "c"), (4, 2, "d")]);
    assert_eq!(page.next, Some(4));
    assert_eq!(cut(1, 4, true).next, None);
    assert_eq!(cut(1, 4, false).next, Some(5));
    assert_eq!(cut(5, 3, false).next, None);
}

#[test]
fn what_is_not_stored_follows_where_nothing_is_missing_in_between() {
    let (one, two, three) = (batch(1, 1, &["a", "b"]), batch(1, 3, &["c"]), batch(2, 4, &["d"]));
    let join = |stored: &[&LogBatch], unstored: &[&LogBatch], after| {
        let cloned = |batches: &[&LogBatch]| batches.iter().copied().cloned().collect();
        let joined = joined(cloned(stored), cloned(unstored), after);
        joined.iter().map(|batch| batch.first_index).collect::<Vec<_>>()
    };
    assert_eq!(join(&[&one], &[&two, &three], 0), [1, 3, 4]);
    // Stored since.
    assert_eq!(join(&[&one, &two], &[&two, &three], 0), [1, 3, 4]);
    // Those that the reader has seen are left out.
    assert_eq!(join(&[], &[&one, &two, &three], 1), [1, 3, 4]);
    assert_eq!(join(&[], &[&one, &two, &three], 2), [3, 4]);
    assert_eq!(join(&[], &[&one, &two, &three], 4), [0; 0]);
    // The database has more than a page.
    assert_eq!(join(&[&one], &[&three], 0), [1]);
}
