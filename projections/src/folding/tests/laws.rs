//! Laws of every fold.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::prelude::*;
use rivet_events::job::JobStatus;
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use rivet_events::pipeline::{
    PipelineConfig, PipelineCreated, PipelineDefinition, PipelineDeleted, PipelineEvent, PipelineRevised,
};
use rivet_events::runner::{
    Capabilities, Registration, RunnerEvent, RunnerHeartbeatRecorded, RunnerLost, RunnerRegistered,
    RunnerRemoved, RunnerReturned,
};
use rivet_events::webhook::{
    PauseCause, WebhookCreated, WebhookDeleted, WebhookEvent, WebhookPaused, WebhookResumed,
};
use uuid::Uuid;

use super::*;
use crate::projection::ALL;
use crate::testing::at;

/// Any events in any order, of a few jobs, of their pipelines and logs, of two runners, and of webhooks: folds must also
/// withstand what no aggregate would allow.
fn any_history() -> impl Strategy<Value = Vec<Event>> {
    let step = (1..5_u128, 0..2_usize, 0..20_u8, 1..6_u32);
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
                    14 | 15 => runner_event(&scene, attempt, now),
                    16 => scene.refuse_report(attempt, JobStatus::Failed, now),
                    17 => scene.show_lease(attempt, now),
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

fn runner_event(scene: &Scene, kind: u32, now: i64) -> Event {
    let runner_id = scene.runner_id.clone();
    let registration = Registration {
        capabilities: Capabilities(Some(vec!["docker".to_owned()])),
        boot_id: Some(format!("boot {now}")),
        registered_at: at(now),
    };
    Event::Runner(match kind {
        1 => {
            let Registration { capabilities, boot_id, registered_at } = registration;
            RunnerEvent::Registered(RunnerRegistered { runner_id, capabilities, boot_id, registered_at })
        }
        2 => RunnerEvent::HeartbeatRecorded(RunnerHeartbeatRecorded {
            runner_id,
            heartbeat_at: at(now),
            registration: (now % 2 == 0).then_some(registration),
        }),
        3 => RunnerEvent::Lost(RunnerLost { runner_id, last_seen_at: at(now - 1), lost_at: at(now) }),
        4 => RunnerEvent::Returned(RunnerReturned { runner_id, returned_at: at(now) }),
        _ => RunnerEvent::Removed(RunnerRemoved { runner_id, removed_at: at(now) }),
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
        2 => WebhookEvent::Paused(WebhookPaused {
            webhook_id,
            cause: PauseCause::Failing,
            error: "status 500".to_owned(),
            position: Position(now.unsigned_abs()),
            paused_at: at(now),
        }),
        3 => WebhookEvent::Resumed(WebhookResumed { webhook_id, resumed_at: at(now) }),
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

    #[test]
    fn no_order_of_readable_events_parks_a_stream(history in any_history()) {
        let log = spread(history);
        for projection in ALL.iter().copied() {
            prop_assert_eq!(folded(projection, &log).parked, vec![]);
        }
    }
}

/// The events in the golden files: every type of event, in every version and with every member.
fn golden_events() -> Vec<(String, StreamId, Event)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/golden");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (event_type, version) = name.split_once(".v").expect("a name is {type}.v{version}.json");
        let version = version.split('.').next().unwrap().parse().unwrap();
        let kind: StreamType = event_type.split('.').next().unwrap().parse().unwrap();
        let event = Event::decode(kind, event_type, version, &fs::read_to_string(&path).unwrap());
        (name, StreamId::new(kind, "golden"), event)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_golden_event_is_folded_first_and_after_all_others() {
    let golden = golden_events();
    let types: BTreeSet<&str> = golden.iter().map(|(.., event)| event.event_type()).collect();
    assert_eq!(types, Event::types().collect());
    for projection in ALL.iter().copied() {
        let mut all = MemoryRows::default();
        for (n, (name, stream, event)) in (1..).zip(&golden) {
            let event = [Arc::new(envelope(n, stream.clone(), n, event.clone()))];
            all.advance(projection, &event);
            for rows in [&folded(projection, &event), &all] {
                assert_eq!(rows.parked, [], "{} folds {name}", projection.name());
            }
        }
    }
}
