//! Laws of every fold, and what happens to events that cannot be applied.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rivet_events::event::UnreadableEvent;
use rivet_events::job::JobStatus;
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use rivet_events::pipeline::{
    PipelineConfig, PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};
use rivet_events::webhook::{WebhookCreated, WebhookDeleted, WebhookEvent, WebhookResumed};
use rivet_events::{Envelope, Event, Position, StreamId, StreamType};
use uuid::Uuid;

use super::*;
use crate::projection::{ALL, AnyProjection, Schema};
use crate::rows::memory::MemoryRows;
use crate::testing::{Scene, at, envelope, log_of};

/// Counts the events of each job; panics at a cancellation.
struct Counter;

impl Projection for Counter {
    const NAME: &'static str = "counter";
    const VERSION: u32 = 1;
    const STREAMS: &'static [StreamType] = &[StreamType::Job];
    const SCHEMA: Schema = Schema { columns: &[], indexes: &[] };
    type Row = u32;

    fn key(envelope: &Envelope) -> Option<String> {
        Some(envelope.stream.id.clone())
    }

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
    rows.documents.insert(scene.job_id.to_string(), "\"damaged\"".to_owned());
    rows.advance(&Counter, &log_of([scene.launch(0)]));
    assert_eq!(rows.documents[&scene.job_id.to_string()], "\"damaged\"");
    assert_eq!(rows.parked.len(), 1);
}

/// Any events in any order, of a few jobs on two runners, of their pipelines and logs, and of webhooks: folds must
/// also withstand what no aggregate would allow.
fn any_history() -> impl Strategy<Value = Vec<Event>> {
    let step = (1..5_u128, 0..2_usize, 0..16_u8, 1..4_u32);
    prop::collection::vec(step, 0..60).prop_map(|steps| {
        let seconds = Cell::new(0);
        steps
            .into_iter()
            .map(|(job, runner, kind, attempt)| {
                let now = seconds.replace(seconds.get() + 1);
                let runner_id = ["runner-1", "runner-2"][runner].parse().expect("a name");
                let scene = Scene { runner_id, ..Scene::new(job) };
                match kind {
                    0 => scene.launch(now),
                    1 | 2 => scene.claim(attempt, now),
                    3 => scene.start(attempt, now),
                    4 => scene.requeue(attempt, now, now + 2),
                    5 => scene.complete(attempt, JobStatus::Succeeded, now),
                    6 => scene.cancel(attempt, now),
                    7 => scene.ask_to_cancel(false, now),
                    8 => scene.expire(attempt, now),
                    9 => scene.time_out(attempt, now),
                    10 => scene.purge(JobStatus::Succeeded, now),
                    11 | 12 => appended(&scene, attempt, now),
                    13 => pipeline_event(&scene, attempt, now),
                    _ => webhook_event(job, attempt, now),
                }
            })
            .collect()
    })
}

fn appended(scene: &Scene, attempt: u32, now: i64) -> Event {
    let entry = LogEntry { timestamp: at(now), level: LogLevel::Info, message: "a line".to_owned() };
    Event::JobLog(JobLogEvent::Appended(JobLogAppended {
        job_id: scene.job_id,
        pipeline_id: scene.pipeline_id,
        attempt,
        offset: 0,
        first_index: now.unsigned_abs() + 1,
        entries: LogEntries::new(&[entry]),
        digest: String::new(),
        appended_at: at(now),
    }))
}

fn pipeline_event(scene: &Scene, kind: u32, now: i64) -> Event {
    let pipeline_id = scene.pipeline_id;
    let definition = PipelineDefinition {
        name: format!("at {now}"),
        description: None,
        script: "return 1".to_owned(),
        tags: vec![],
        required_modules: vec![],
        demands: vec![],
        inputs: BTreeMap::new(),
        config: PipelineConfig::default(),
    };
    Event::Pipeline(match kind {
        1 => PipelineEvent::Created(PipelineCreated { pipeline_id, definition, created_at: at(now) }),
        2 => PipelineEvent::Revised(PipelineRevised {
            pipeline_id,
            version: 2,
            definition,
            restores: None,
            revised_at: at(now),
        }),
        _ => PipelineEvent::Deleted(PipelineDeleted { pipeline_id, deleted_at: at(now) }),
    })
}

fn webhook_event(webhook: u128, kind: u32, now: i64) -> Event {
    let webhook_id = Uuid::from_u128(webhook).into();
    Event::Webhook(match kind {
        1 => WebhookEvent::Created(WebhookCreated {
            webhook_id,
            url: "https://example.com/".to_owned(),
            types: vec![],
            pipeline_id: None,
            batch_size: None,
            created_at: at(now),
        }),
        2 => WebhookEvent::Resumed(WebhookResumed { webhook_id, resumed_at: at(now) }),
        _ => WebhookEvent::Deleted(WebhookDeleted { webhook_id, deleted_at: at(now) }),
    })
}

/// The events in their places, some seconds after each other.
fn spread(history: Vec<Event>) -> Vec<Arc<Envelope>> {
    let at_its_time = |envelope: Arc<Envelope>| {
        let recorded_at = at(20 * i64::try_from(envelope.position.0).expect("a few"));
        Arc::new(Envelope { recorded_at, ..Arc::unwrap_or_clone(envelope) })
    };
    log_of(history).into_iter().map(at_its_time).collect()
}

proptest! {
    #[test]
    fn batches_of_any_size_make_the_same_rows(history in any_history(), size in 1..20_usize) {
        let log = spread(history);
        for projection in ALL.iter().copied().chain([&Counter as &dyn AnyProjection, &Total]) {
            let (mut single, mut batched, mut whole) =
                (MemoryRows::default(), MemoryRows::default(), MemoryRows::default());
            for event in log.chunks(1) {
                single.advance(projection, event);
            }
            for events in log.chunks(size) {
                batched.advance(projection, events);
            }
            whole.advance(projection, &log);
            prop_assert_eq!(&single, &batched);
            prop_assert_eq!(&single, &whole);
        }
    }
}
