//! Places for a log, and events to append.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use rivet_events::id::{CommandId, JobId, LeaseId, PipelineId};
use rivet_events::job::{JobCancelRequested, JobEvent, JobReportRefused, JobStatus};
use rivet_events::log::{self, Append, EventLog, LogSettings, StreamWrite};
use rivet_events::{Envelope, Event, Metadata, Position, StreamId, Version};
use rivet_tests::life;
use rivet_tests::store::{Store, StoreKind};
use serde_json::json;

pub(super) type Log = Arc<dyn EventLog>;

/// Where a log keeps its events.
pub(super) enum Place {
    Memory,
    Tables(Store),
}

impl Place {
    pub(super) async fn of(kind: StoreKind) -> Self {
        Self::Tables(Store::create(kind).await)
    }

    pub(super) async fn open(&self, settings: LogSettings) -> Log {
        match self {
            Self::Memory => log::in_memory(settings).await.unwrap(),
            Self::Tables(store) => open(store, settings).await,
        }
    }
}

/// Opens the log of a store, as another process would.
pub(super) async fn open(store: &Store, settings: LogSettings) -> Log {
    log::open(&store.open().await, settings).await.unwrap()
}

/// Settings that keep too few events in memory to serve any read.
pub(super) fn table_only() -> LogSettings {
    LogSettings { recent_events: 0, ..LogSettings::default() }
}

pub(super) fn time() -> DateTime<Utc> {
    // Finer than the databases store a time.
    Utc.timestamp_opt(1_700_000_000, 123_456_789).unwrap()
}

pub(super) fn launched(job_id: JobId) -> Event {
    let parameters = json!({"text": "Zürich \u{1F680} \"quoted\" \\ \u{0001}\n", "float": 31.245_270_191_439_438, "big": u64::MAX});
    let serde_json::Value::Object(parameters) = parameters else { unreachable!() };
    let mut event = life::launched(job_id, PipelineId::generate(), time());
    if let JobEvent::Launched(launched) = &mut event {
        launched.parameters = parameters;
    }
    Event::Job(event)
}

pub(super) fn claimed(job_id: JobId) -> Event {
    Event::Job(life::claimed(job_id, PipelineId::generate(), time()))
}

pub(super) fn cancel_requested(job_id: JobId, reason: String) -> Event {
    Event::Job(JobEvent::CancelRequested(JobCancelRequested {
        job_id,
        pipeline_id: PipelineId::generate(),
        runner_id: "runner".parse().unwrap(),
        reason: Some(reason),
        force: false,
        requested_at: time(),
    }))
}

pub(super) fn report_refused(job_id: JobId) -> Event {
    Event::Job(JobEvent::ReportRefused(JobReportRefused {
        job_id,
        pipeline_id: PipelineId::generate(),
        lease_id: LeaseId::generate(),
        status: JobStatus::Succeeded,
        result: None,
        refused_at: time(),
    }))
}

pub(super) fn write(job_id: JobId, expected: u64, events: Vec<Event>) -> StreamWrite {
    StreamWrite { stream: StreamId::job(job_id), expected: Version(expected), events }
}

pub(super) fn append(writes: Vec<StreamWrite>) -> Append {
    let metadata = Metadata {
        actor: Some("runner:ä/1".to_owned()),
        command_id: Some(CommandId::generate()),
        ..Metadata::default()
    };
    Append { writes, metadata, recorded_at: time() }
}

pub(super) fn launch(job_id: JobId) -> Append {
    append(vec![write(job_id, 0, vec![launched(job_id)])])
}

pub(super) fn claim(job_id: JobId, expected: u64) -> Append {
    append(vec![write(job_id, expected, vec![claimed(job_id)])])
}

pub(super) async fn read_to_end(log: &Log) -> Vec<Arc<Envelope>> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map_or(Position(0), |last: &Arc<Envelope>| last.position);
        let page = log.read_all(after, 100).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) fn assert_dense(envelopes: &[Arc<Envelope>]) {
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for (place, envelope) in (1..).zip(envelopes) {
        assert_eq!(envelope.position, Position(place));
        let version = versions.entry(&envelope.stream).or_default();
        *version += 1;
        assert_eq!(envelope.sequence, Version(*version), "in {}", envelope.stream);
    }
}
