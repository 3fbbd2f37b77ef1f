//! The rules of the archive, as given, when, then.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::archive::{
    ArchiveEvent, JobsPurged, PurgeBegun, SegmentArchived, SegmentReleased, SegmentRemoved,
};

use super::{
    ArchiveCommand, ArchiveError, ArchiveState, BeginPurge, RecordPurge, RecordRelease, RecordRemoval,
    RecordSegment,
};
use crate::domain::spec::Given;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn given(events: impl Into<Vec<ArchiveEvent>>) -> Given<ArchiveState> {
    crate::domain::spec::given(events)
}

fn segment(segment: u64) -> SegmentArchived {
    SegmentArchived {
        segment,
        object: format!("{segment}.jsonl.zst"),
        logs: 2,
        events: 3,
        entries: 4,
        first_position: Position(5),
        last_position: Position(10 * segment),
        through: Position(10 * segment + 1),
        bytes: 100,
        raw_bytes: 1_000,
        sha256: "ab".to_owned(),
        archived_at: NOW,
    }
}

fn archived(number: u64) -> ArchiveEvent {
    ArchiveEvent::SegmentArchived(segment(number))
}

fn released(segment: u64) -> ArchiveEvent {
    ArchiveEvent::SegmentReleased(SegmentReleased { segment, events: 3, released_at: NOW })
}

fn record(number: u64) -> ArchiveCommand {
    record_gathered(number, 0, None)
}

/// Records a segment whose logs were gathered while jobs were purged up to there.
fn record_gathered(number: u64, purged: u64, purging: Option<u64>) -> ArchiveCommand {
    ArchiveCommand::RecordSegment(RecordSegment {
        archived: Box::new(segment(number)),
        purged_through: Position(purged),
        purging_through: purging.map(Position),
    })
}

fn release(segment: u64) -> ArchiveCommand {
    ArchiveCommand::RecordRelease(RecordRelease { segment, now: NOW })
}

#[test]
fn segments_are_recorded_one_after_the_other() {
    given([]).when(record(1)).then([archived(1)]);
    given([archived(1), released(1)]).when(record(2)).then([archived(2)]);
}

#[test]
fn of_two_archivers_one_records_the_segment() {
    given([archived(1)]).when(record(1)).then_refused(ArchiveError::Overtaken);
    given([archived(1), released(1)]).when(record(1)).then_refused(ArchiveError::Overtaken);
    given([]).when(record(2)).then_refused(ArchiveError::Overtaken);
}

#[test]
fn a_segment_waits_for_the_release_of_the_one_before() {
    given([archived(1)]).when(record(2)).then_refused(ArchiveError::Pending);
}

#[test]
fn a_release_is_recorded_once() {
    given([archived(1)]).when(release(1)).then([released(1)]);
    given([archived(1), released(1)]).when(release(1)).then([]);
    given([archived(1), released(1), archived(2)]).when(release(1)).then([]);
}

#[test]
fn what_was_never_archived_is_not_released() {
    given([]).when(release(1)).then_refused(ArchiveError::NotFound);
    given([archived(1)]).when(release(2)).then_refused(ArchiveError::NotFound);
}

fn purged(jobs: u64, events: u64, through: u64) -> ArchiveEvent {
    ArchiveEvent::JobsPurged(JobsPurged { jobs, events, through: Position(through), purged_at: NOW })
}

fn begun(through: u64) -> ArchiveEvent {
    ArchiveEvent::PurgeBegun(PurgeBegun { through: Position(through), begun_at: NOW })
}

fn begin(after: u64, through: u64) -> ArchiveCommand {
    ArchiveCommand::BeginPurge(BeginPurge { after: Position(after), through: Position(through), now: NOW })
}

fn purge(jobs: u64, events: u64, through: u64) -> ArchiveCommand {
    ArchiveCommand::RecordPurge(RecordPurge { jobs, events, through: Position(through), now: NOW })
}

fn remove(segment: u64) -> ArchiveCommand {
    ArchiveCommand::RecordRemoval(RecordRemoval { segment, now: NOW })
}

fn removed(segment: u64) -> ArchiveEvent {
    ArchiveEvent::SegmentRemoved(SegmentRemoved { segment, events: 3, removed_at: NOW })
}

#[test]
fn a_purge_says_what_came_on_top_of_those_before() {
    given([begun(9)]).when(purge(5, 50, 9)).then([purged(5, 50, 9)]);
    given([begun(9), purged(5, 50, 9), begun(20)]).when(purge(7, 68, 20)).then([purged(2, 18, 20)]);
}

#[test]
fn of_two_archivers_one_purges() {
    given([]).when(begin(0, 9)).then([begun(9)]);
    given([begun(9)]).when(begin(0, 8)).then_refused(ArchiveError::Overtaken);
    given([begun(9), purged(5, 50, 9)]).when(begin(0, 9)).then_refused(ArchiveError::Overtaken);
    given([begun(9), purged(5, 50, 9)]).when(purge(5, 50, 9)).then_refused(ArchiveError::Overtaken);
}

#[test]
fn logs_that_were_gathered_before_a_purge_are_not_recorded() {
    for since in [vec![begun(9)], vec![begun(9), purged(5, 50, 9)]] {
        given(since).when(record(1)).then_refused(ArchiveError::Overtaken);
    }
    given([begun(9)]).when(record_gathered(1, 0, Some(9))).then([archived(1)]);
    let over = [begun(9), purged(5, 50, 9)];
    given(over.clone()).when(record_gathered(1, 0, Some(9))).then_refused(ArchiveError::Overtaken);
    given(over.clone()).when(record_gathered(1, 9, None)).then([archived(1)]);
    given([&over[..], &[begun(20)]].concat())
        .when(record_gathered(1, 9, None))
        .then_refused(ArchiveError::Overtaken);
}

#[test]
fn a_purge_can_be_put_at_the_end_of_the_log_again() {
    given([begun(9)]).when(begin(0, 9)).then([begun(9)]);
}

#[test]
fn a_segment_is_removed_once_all_of_its_jobs_are_purged() {
    let released = [archived(1), released(1)];
    given(released.clone()).when(remove(1)).then_refused(ArchiveError::Needed);
    given([&released[..], &[purged(1, 1, 10)]].concat()).when(remove(1)).then_refused(ArchiveError::Needed);
    let over = [&released[..], &[purged(1, 1, 11)]].concat();
    given(over.clone()).when(remove(1)).then([removed(1)]);
    given([over, vec![removed(1)]].concat()).when(remove(1)).then([]);
    given([archived(1), purged(1, 1, 11)]).when(remove(1)).then_refused(ArchiveError::Needed);
    given([]).when(remove(1)).then_refused(ArchiveError::NotFound);
}
