//! The log is a postgres-es event table: a cqrs-es aggregate loads from it through postgres-es.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use chrono::DateTime;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateContext, DomainEvent, EventStore};
use postgres_es::PostgresEventRepository;
use rivet_events::database::{Database, PostgresDatabase};
use rivet_events::id::JobId;
use rivet_events::job::JobEvent;
use rivet_events::log::{self, Append, LogSettings, StreamWrite};
use rivet_events::{Event, Metadata, StreamId, StreamType, Version};
use rivet_tests::store::{Store, StoreKind};
use serde::{Deserialize, Serialize};

/// The names of the events of a job, in order.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct History {
    event_types: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("this aggregate only remembers")]
struct TakesNoCommand;

impl Aggregate for History {
    const TYPE: &'static str = "job";
    type Command = ();
    type Event = JobEvent;
    type Error = TakesNoCommand;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), TakesNoCommand> {
        Err(TakesNoCommand)
    }

    fn apply(&mut self, event: JobEvent) {
        self.event_types.push(DomainEvent::event_type(&event));
    }
}

/// Every job event in the golden files.
fn golden_job_events() -> Vec<Event> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/golden");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .filter_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let event_type = name.split_once(".v").unwrap().0;
            let payload = fs::read_to_string(&path).unwrap();
            event_type.starts_with("job.").then(|| Event::decode(StreamType::Job, event_type, 1, &payload))
        })
        .collect()
}

#[tokio::test]
async fn an_aggregate_loads_from_the_log_through_postgres_es() {
    let place = Store::create(StoreKind::Postgres).await;
    let database = place.open().await;
    let log = log::open(&database, LogSettings::default()).await.unwrap();
    let Database::Postgres(PostgresDatabase { pool, .. }) = database else {
        unreachable!("the URL is one of PostgreSQL")
    };
    let store = PersistedEventStore::<_, History>::new_event_store(PostgresEventRepository::new(pool));

    let (job, other) = (JobId::generate(), JobId::generate());
    let golden = golden_job_events();
    let metadata = Metadata { actor: Some("runner:ä".to_owned()), ..Metadata::default() };
    for (job, events) in [(other, golden[..1].to_vec()), (job, golden.clone())] {
        let writes = vec![StreamWrite { stream: StreamId::job(job), expected: Version(0), events }];
        let append = Append { writes, metadata: metadata.clone(), recorded_at: DateTime::UNIX_EPOCH };
        log.append(append).await.unwrap();
    }

    let mut loaded = store.load_aggregate(&job.to_string()).await.unwrap();
    assert_eq!(loaded.current_sequence, golden.len());
    let names: Vec<&str> = golden.iter().map(Event::event_type).collect();
    assert_eq!(loaded.aggregate().event_types, names);
    assert!(JobEvent::TYPES.iter().all(|name| names.contains(name)), "{names:?}");

    let envelopes = store.load_events(&job.to_string()).await.unwrap();
    for ((envelope, event), sequence) in envelopes.iter().zip(&golden).zip(1..) {
        assert_eq!(Event::Job(envelope.payload.clone()), *event);
        assert_eq!((envelope.sequence, &envelope.metadata), (sequence, &metadata.to_map()));
    }

    let mut unknown = store.load_aggregate(&JobId::generate().to_string()).await.unwrap();
    assert_eq!((unknown.current_sequence, unknown.aggregate()), (0, &mut History::default()));
}
