//! The rules of a read model, as given, when, then.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::projection::{
    ProjectionEvent, ProjectionEventSkipped, ProjectionRebuildRequested, ProjectionStreamRetried,
};

use super::{
    Parked, ProjectionCommand, ProjectionError, ProjectionState, RebuildProjection, RetryStream, SkipEvent,
};
use crate::domain::spec::given;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn parked(position: u64) -> Parked {
    Parked {
        projection: "jobs".to_owned(),
        stream: "job/1".parse().unwrap(),
        position: Position(position),
        error: "unreadable".to_owned(),
    }
}

fn retry(position: u64) -> ProjectionCommand {
    ProjectionCommand::Retry(RetryStream { parked: parked(position), reason: None, now: NOW })
}

fn skip(position: u64) -> ProjectionCommand {
    let reason = Some("withdrawn".to_owned());
    ProjectionCommand::Skip(SkipEvent { parked: parked(position), reason, now: NOW })
}

fn retried(position: u64) -> ProjectionEvent {
    ProjectionEvent::StreamRetried(ProjectionStreamRetried {
        projection: "jobs".to_owned(),
        stream: "job/1".to_owned(),
        position: Position(position),
        error: "unreadable".to_owned(),
        reason: None,
        retried_at: NOW,
    })
}

fn skipped(position: u64) -> ProjectionEvent {
    ProjectionEvent::EventSkipped(ProjectionEventSkipped {
        projection: "jobs".to_owned(),
        stream: "job/1".to_owned(),
        position: Position(position),
        error: "unreadable".to_owned(),
        reason: Some("withdrawn".to_owned()),
        skipped_at: NOW,
    })
}

#[test]
fn every_rebuild_is_recorded() {
    let (projection, reason) = ("jobs".to_owned(), Some("a row was changed".to_owned()));
    let rebuild = RebuildProjection { projection: projection.clone(), reason: reason.clone(), now: NOW };
    let requested = ProjectionRebuildRequested { projection, reason, requested_at: NOW };
    let requested = ProjectionEvent::RebuildRequested(requested);
    for history in [vec![], vec![requested.clone()], vec![skipped(4)]] {
        let rebuild = ProjectionCommand::Rebuild(rebuild.clone());
        given::<ProjectionState>(history).when(rebuild).then([requested.clone()]);
    }
}

#[test]
fn every_retry_is_recorded() {
    given::<ProjectionState>([]).when(retry(4)).then([retried(4)]);
    given::<ProjectionState>([retried(4)]).when(retry(4)).then([retried(4)]);
}

#[test]
fn an_event_is_skipped_once() {
    given::<ProjectionState>([retried(4)]).when(skip(4)).then([skipped(4)]);
    given::<ProjectionState>([skipped(4)]).when(skip(4)).then_nothing();
    given::<ProjectionState>([skipped(4)]).when(skip(9)).then([skipped(9)]);
}

#[test]
fn what_is_skipped_is_not_tried_again() {
    given::<ProjectionState>([skipped(4)]).when(retry(4)).then_refused(ProjectionError::Skipped(Position(4)));
}
