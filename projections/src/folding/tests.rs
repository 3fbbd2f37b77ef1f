//! What happens to events that cannot be applied; in `laws`, what holds for every fold.

mod laws;

use std::sync::Arc;

use rivet_events::event::UnreadableEvent;
use rivet_events::{Envelope, Event, Position, StreamId, StreamType};

use super::*;
use crate::projection::{AnyProjection, Schema};
use crate::rows::memory::MemoryRows;
use crate::testing::{Scene, envelope, log_of};

/// Counts the events of each job; panics at a cancellation.
pub(crate) struct Counter;

impl Projection for Counter {
    const NAME: &'static str = "counter";
    const VERSION: u32 = 1;
    const STREAMS: &'static [StreamType] = &[StreamType::Job];
    const SCHEMA: Schema = Schema { columns: &[], indexes: &[] };
    type Row = u32;

    fn apply(row: Option<u32>, envelope: &Envelope) -> Option<u32> {
        assert_ne!(envelope.event.event_type(), "job.cancelled", "no cancelled job is expected");
        Some(row.unwrap_or_default() + 1)
    }
}

/// Counts the events of all jobs in one row; panics at a cancellation too.
struct Total;

impl Projection for Total {
    const NAME: &'static str = "total";
    const VERSION: u32 = 1;
    const STREAMS: &'static [StreamType] = Counter::STREAMS;
    const SCHEMA: Schema = Counter::SCHEMA;
    type Row = u32;

    fn key(_envelope: &Envelope) -> Option<String> {
        Some("all".to_owned())
    }

    fn apply(row: Option<u32>, envelope: &Envelope) -> Option<u32> {
        Counter::apply(row, envelope)
    }
}

fn folded(projection: &dyn AnyProjection, events: &[Arc<Envelope>]) -> MemoryRows {
    let mut rows = MemoryRows::default();
    rows.advance(projection, events);
    rows
}

#[test]
fn an_event_that_panics_parks_its_stream_and_no_other() {
    let (bad, good) = (Scene::new(1), Scene::new(2));
    let events =
        [bad.launch(0), bad.claim(1, 1), good.launch(1), bad.cancel(1, 2), bad.start(1, 3), good.claim(1, 4)];
    let rows = folded(&Counter, &log_of(events));
    assert_eq!(rows.row::<Counter>(&bad.job_id.to_string()), Some(2));
    assert_eq!(rows.row::<Counter>(&good.job_id.to_string()), Some(2));
    let [parked] = &rows.parked[..] else { panic!("one is parked") };
    assert_eq!((&parked.stream, parked.position), (&StreamId::job(bad.job_id), Position(4)));
    assert!(parked.error.contains("no cancelled job is expected"), "{}", parked.error);
}

#[test]
fn a_row_of_many_streams_loses_only_what_was_parked() {
    let (bad, worse, good) = (Scene::new(1), Scene::new(2), Scene::new(3));
    let mut rows = folded(&Total, &log_of([good.launch(0), bad.launch(0)]));
    let (applied, lost) = ([worse.launch(1), good.claim(1, 2)], [bad.cancel(1, 1), bad.start(1, 1)]);
    let events = lost.into_iter().chain(applied).chain([worse.cancel(1, 3), good.start(1, 4)]);
    rows.advance(&Total, &log_of(events));
    assert_eq!(rows.row::<Total>("all"), Some(5));
    let parked: Vec<&StreamId> = rows.parked.iter().map(|parked| &parked.stream).collect();
    assert_eq!(parked, [&StreamId::job(bad.job_id), &StreamId::job(worse.job_id)]);
}

#[test]
fn an_event_that_cannot_be_read_parks_its_stream() {
    let scene = Scene::new(1);
    let unreadable = Event::Unreadable(UnreadableEvent {
        payload: serde_json::value::RawValue::NULL.to_owned(),
        event_type: "job.teleported".to_owned(),
        event_version: 1,
        error: "unknown".to_owned(),
    });
    let stream = StreamId::job(scene.job_id);
    let events: Vec<Arc<Envelope>> = [scene.launch(0), unreadable, scene.claim(1, 1)]
        .into_iter()
        .zip(1..)
        .map(|(event, n)| Arc::new(envelope(n, stream.clone(), n, event)))
        .collect();
    let rows = folded(&Counter, &events);
    assert_eq!(rows.row::<Counter>(&scene.job_id.to_string()), Some(1));
    assert_eq!(rows.parked.len(), 1);
}

#[test]
fn a_row_that_cannot_be_read_parks_the_stream_and_stays() {
    let scene = Scene::new(1);
    let mut rows = MemoryRows::default();
    rows.documents.insert(scene.job_id.to_string(), "\"damaged\"".into());
    rows.advance(&Counter, &log_of([scene.launch(0)]));
    assert_eq!(rows.documents[&scene.job_id.to_string()].as_ref(), "\"damaged\"");
    assert_eq!(rows.parked.len(), 1);
}
