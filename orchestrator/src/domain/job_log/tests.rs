//! The rules of a job's log, as given, when, then. A batch is written as the texts of its entries.

mod properties;

use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use uuid::Uuid;

use super::{AppendLog, JobLogCommand, JobLogError, JobLogState, REMEMBERED_BATCHES};
use crate::domain::spec::Given;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn given(events: impl Into<Vec<JobLogEvent>>) -> Given<JobLogState> {
    crate::domain::spec::given(events)
}

fn job() -> JobId {
    Uuid::from_u128(1).into()
}

fn pipeline() -> PipelineId {
    Uuid::from_u128(2).into()
}

fn lines(texts: &str) -> Vec<LogEntry> {
    let entry =
        |message: &str| LogEntry { timestamp: NOW, level: LogLevel::Info, message: message.to_owned() };
    texts.split_whitespace().map(entry).collect()
}

fn entries(texts: &str) -> LogEntries {
    LogEntries::new(&lines(texts))
}

/// A batch of attempt 1, sent without an offset.
fn append(texts: &str) -> AppendLog {
    AppendLog {
        job_id: job(),
        pipeline_id: pipeline(),
        attempt: 1,
        offset: None,
        entries: entries(texts),
        digest: format!("digest of {texts}"),
        now: NOW,
    }
}

fn append_at(offset: u64, texts: &str) -> AppendLog {
    AppendLog { offset: Some(offset), ..append(texts) }
}

/// `stored`, of a batch that was sent as `sent`, after `offset` entries of attempt 1.
fn tail_appended(offset: u64, sent: &str, stored: &str) -> JobLogAppended {
    JobLogAppended {
        job_id: job(),
        pipeline_id: pipeline(),
        attempt: 1,
        offset,
        first_index: offset + 1,
        entries: entries(stored),
        digest: format!("digest of {sent}"),
        appended_at: NOW,
    }
}

fn appended(offset: u64, texts: &str) -> JobLogEvent {
    JobLogEvent::Appended(tail_appended(offset, texts, texts))
}

impl From<AppendLog> for JobLogCommand {
    fn from(append: AppendLog) -> Self {
        Self::Append(append)
    }
}

#[test]
fn batches_are_stored_one_after_the_other() {
    given([]).when(append("a b")).then([appended(0, "a b")]);
    given([appended(0, "a b")]).when(append("c")).then([appended(2, "c")]);
    given([appended(0, "a b")]).when(append_at(2, "c")).then([appended(2, "c")]);
}

#[test]
fn a_batch_that_begins_beyond_what_is_stored_is_refused_and_told_where_to_go_on() {
    given([]).when(append_at(1, "b")).then_refused(JobLogError::Gap { acknowledged: 0 });
    given([appended(0, "a b")]).when(append_at(3, "d")).then_refused(JobLogError::Gap { acknowledged: 2 });
}

#[test]
fn a_batch_that_is_stored_already_changes_nothing() {
    given([appended(0, "a b c")]).when(append_at(0, "a b c")).then_nothing();
    given([appended(0, "a b c")]).when(append_at(1, "b")).then_nothing();
}

#[test]
fn of_a_batch_that_is_stored_in_part_the_new_tail_is_stored() {
    given([appended(0, "a b")])
        .when(append_at(1, "b c d"))
        .then([JobLogEvent::Appended(tail_appended(2, "b c d", "c d"))]);
}

#[test]
fn an_empty_batch_changes_nothing() {
    given([]).when(append("")).then_nothing();
    given([appended(0, "a")]).when(append_at(1, "")).then_nothing();
}

#[test]
fn a_batch_without_an_offset_identical_to_one_of_the_last_eight_is_a_replay() {
    let batches = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let last_eight: Vec<_> = (0..).zip(batches).map(|(offset, text)| appended(offset, text)).collect();
    for text in batches {
        given(last_eight.clone()).when(append(text)).then_nothing();
    }
    let forgotten = [last_eight, vec![appended(8, "i")]].concat();
    given(forgotten.clone()).when(append("b")).then_nothing();
    given(forgotten).when(append("a")).then([appended(9, "a")]);
}

#[test]
fn equal_batches_at_their_own_offsets_are_all_stored() {
    given([appended(0, "a")]).when(append_at(1, "a")).then([appended(1, "a")]);
}

#[test]
fn a_later_attempt_counts_from_nothing_and_goes_on_in_the_log() {
    let second = JobLogEvent::Appended(JobLogAppended {
        attempt: 2,
        first_index: 3,
        ..tail_appended(0, "a b", "a b")
    });
    let of_second = |append: AppendLog| AppendLog { attempt: 2, ..append };
    given([appended(0, "a b")]).when(of_second(append("a b"))).then([second.clone()]);
    given([appended(0, "a b")]).when(of_second(append_at(0, "a b"))).then([second.clone()]);
    given([appended(0, "a b")])
        .when(of_second(append_at(2, "c")))
        .then_refused(JobLogError::Gap { acknowledged: 0 });
    given([appended(0, "a b"), second]).when(of_second(append("c"))).then([JobLogEvent::Appended(
        JobLogAppended { attempt: 2, first_index: 5, ..tail_appended(2, "c", "c") },
    )]);
}

#[test]
fn an_attempt_that_was_followed_by_another_writes_no_more() {
    let second =
        JobLogEvent::Appended(JobLogAppended { attempt: 2, first_index: 2, ..tail_appended(0, "b", "b") });
    given([appended(0, "a"), second.clone()]).when(append("c")).then_refused(JobLogError::AttemptOver);
    given([appended(0, "a"), second]).when(append_at(1, "c")).then_refused(JobLogError::AttemptOver);
}
