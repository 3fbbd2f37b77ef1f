//! Stores in which a log can be opened, and events to append.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use rivet_events::database::{Database, Durability};
use rivet_events::id::{CommandId, JobId, LeaseId, PipelineId};
use rivet_events::job::{JobCancelRequested, JobClaimed, JobEvent, JobLaunched};
use rivet_events::log::{self, Append, EventLog, LogSettings, StreamWrite};
use rivet_events::{Envelope, Event, Metadata, Position, StreamId, Version};
use rivet_tests::postgres::Cluster;
use rivet_tests::store::StoreKind;
use serde_json::json;

pub(super) type Log = Arc<dyn EventLog>;

/// A store in which a log can be opened several times.
pub(super) enum Store {
    Memory,
    Sqlite(Database, #[expect(dead_code, reason = "keeps the file")] tempfile::TempDir),
    Postgres(Database),
}

impl Store {
    pub(super) async fn of(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite => Self::sqlite().await,
            StoreKind::Postgres => Self::postgres().await,
        }
    }

    pub(super) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("rivet.db").display());
        Self::Sqlite(migrated(&url).await, directory)
    }

    pub(super) async fn postgres() -> Self {
        Self::Postgres(migrated(&Cluster::shared().await.create_database().await).await)
    }

    /// Changes the tables without any log noticing.
    pub(super) async fn tamper(&self, statement: &str) {
        match self {
            Self::Memory => unreachable!("memory has no tables"),
            Self::Postgres(Database::Postgres(pool)) => {
                sqlx::query(statement).execute(pool).await.unwrap();
            }
            Self::Sqlite(Database::Sqlite(sqlite), _) => {
                let mut writer = sqlite.write().await;
                let statements = writer.statements(Durability::Synced).await.unwrap();
                sqlx::query(statement).execute(statements).await.unwrap();
            }
            Self::Sqlite(..) | Self::Postgres(_) => unreachable!("a store is of its kind"),
        }
    }

    pub(super) async fn open(&self, settings: LogSettings) -> Log {
        match self {
            Self::Memory => log::in_memory(settings).await.unwrap(),
            Self::Sqlite(database, _) | Self::Postgres(database) => {
                log::open(database, settings).await.unwrap()
            }
        }
    }
}

pub(super) async fn migrated(url: &str) -> Database {
    let database = Database::connect(url).await.unwrap();
    database.migrate().await.unwrap();
    database
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
    Event::Job(JobEvent::Launched(JobLaunched {
        job_id,
        pipeline_id: PipelineId::generate(),
        pipeline_version: 1,
        parameters,
        demands: vec![],
        priority: 5,
        max_retries: 0,
        timeout_seconds: None,
        retry_on_runner_lost: false,
        concurrency: None,
        retry_of: None,
        request_digest: None,
        requested_at: time(),
    }))
}

pub(super) fn claimed(job_id: JobId, attempt: u32) -> Event {
    Event::Job(JobEvent::Claimed(JobClaimed {
        job_id,
        pipeline_id: PipelineId::generate(),
        runner_id: "runner".parse().unwrap(),
        attempt,
        lease_id: LeaseId::generate(),
        fencing: true,
        request_key: None,
        ready_at: None,
        claimed_at: time(),
    }))
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
