//! The benefit of group commit: commands per second of postgres-es through cqrs-es, and of our log, on one server.
//!
//! `cargo bench -p rivet-tests --bench log -- [WRITERS…]`. A command records one event of a job. A job has three
//! (launched, claimed, completed), each appended at the version that the one before left. Both sides encode the same
//! payloads and metadata, apply the event to the same aggregate, and wait until the event is synced to disk, with the
//! server's default settings. postgres-es reads the stream before each command, as it has to; our log is given the
//! version that the caller holds in memory, as in the server. The rounds of the contestants alternate.
//!
//! postgres-es runs twice: over the pool that it sets up itself (`default_postgress_pool`), and over one that is
//! tuned for it, with the number of connections that serves it best, and without a test before each use.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, CqrsFramework};
use postgres_es::PostgresEventRepository;
use rivet_events::database::Database;
use rivet_events::id::{CommandId, JobId, PipelineId};
use rivet_events::job::JobEvent;
use rivet_events::log::{self, Append, EventLog, LogSettings, StreamWrite};
use rivet_events::{Event, Metadata, StreamId, Version};
use rivet_tests::life::{claimed, completed, launched};
use rivet_tests::postgres::{Cluster, Durability};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;

const WRITERS: [usize; 4] = [1, 8, 64, 256];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// Connections of postgres-es, one per concurrent command; more than this make it slower.
const PEER_CONNECTIONS: u32 = 64;

/// The table that postgres-es comes with.
const PEER_TABLE: &str = "
    create table events (
        aggregate_type text not null,
        aggregate_id text not null,
        sequence bigint check (sequence >= 0) not null,
        event_type text not null,
        event_version text not null,
        payload json not null,
        metadata json not null,
        primary key (aggregate_type, aggregate_id, sequence)
    )";

/// The smallest possible aggregate; both sides apply every event to it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Job {
    events: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Job {
    const TYPE: &'static str = "job";
    type Command = JobEvent;
    type Event = JobEvent;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, event: JobEvent, (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, _event: JobEvent) {
        self.events += 1;
    }
}

/// The contestant that executes the commands of a round.
#[derive(Clone)]
enum Contestant {
    Peer(Arc<CqrsFramework<Job, PersistedEventStore<PostgresEventRepository, Job>>>),
    Ours(Arc<dyn EventLog>),
}

impl Contestant {
    fn peer(pool: PgPool) -> Self {
        let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool));
        Self::Peer(Arc::new(CqrsFramework::new(store, vec![], ())))
    }

    async fn ours(url: &str) -> Self {
        let database = Database::connect(url).await.unwrap();
        database.migrate().await.unwrap();
        Self::Ours(log::open(&database, LogSettings::default()).await.unwrap())
    }

    /// One job from its launch to its end: three commands.
    async fn run_job(&self, now: DateTime<Utc>) {
        let (job_id, mut job) = (JobId::generate(), Job::default());
        let pipeline_id = PipelineId::generate();
        let life = [launched, claimed, completed].map(|event| event(job_id, pipeline_id, now));
        for event in life {
            let metadata = metadata();
            match self {
                Self::Peer(framework) => {
                    let metadata: HashMap<String, String> = metadata.to_map();
                    framework.execute_with_metadata(&job_id.to_string(), event, metadata).await.unwrap();
                }
                Self::Ours(log) => {
                    let expected = Version(job.events);
                    job.apply(event.clone());
                    let stream = StreamId::job(job_id);
                    let writes = vec![StreamWrite { stream, expected, events: vec![Event::Job(event)] }];
                    log.append(Append { writes, metadata, recorded_at: now }).await.unwrap();
                }
            }
        }
    }

    /// Commands per second of a round.
    async fn round(&self, writers: usize, now: DateTime<Utc>) -> f64 {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let contestant = self.clone();
            tasks.spawn(async move {
                let mut commands = 0;
                while start.elapsed() < ROUND {
                    contestant.run_job(now).await;
                    commands += 3;
                }
                commands
            });
        }
        let commands: u32 = tasks.join_all().await.into_iter().sum();
        f64::from(commands) / start.elapsed().as_secs_f64()
    }
}

fn metadata() -> Metadata {
    Metadata {
        actor: Some("runner:build-01".to_owned()),
        command_id: Some(CommandId::generate()),
        request_id: Some("6f1c2d3e4a5b".to_owned()),
        ..Metadata::default()
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn payload_bytes(now: DateTime<Utc>) -> usize {
    let job = JobId::generate();
    let life = [launched, claimed, completed].map(|event| event(job, PipelineId::generate(), now));
    let bytes = life.map(|event| serde_json::to_string(&event).unwrap().len());
    bytes.iter().sum::<usize>() / bytes.len()
}

#[tokio::main]
async fn main() {
    let cluster = Cluster::start(Durability::Full).await;
    let directory = tempfile::tempdir().unwrap();
    let own_pool = postgres_es::default_postgress_pool(&cluster.create_database().await).await;
    sqlx::query(PEER_TABLE).execute(&own_pool).await.unwrap();
    let tuned_pool = PgPoolOptions::new()
        .max_connections(PEER_CONNECTIONS)
        .test_before_acquire(false)
        .connect(&cluster.create_database().await)
        .await
        .unwrap();
    sqlx::query(PEER_TABLE).execute(&tuned_pool).await.unwrap();
    let contestants = [
        Contestant::peer(own_pool),
        Contestant::peer(tuned_pool),
        Contestant::ours(&cluster.create_database().await).await,
        Contestant::ours(&format!("sqlite://{}", directory.path().join("log.db").display())).await,
    ];
    let now = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();

    println!(
        "commands/s, median of {ROUNDS} rounds of {ROUND:?}; one event a command, {} bytes",
        payload_bytes(now)
    );
    println!(
        "{:>7}  {:>11}  {:>11}  {:>14}  {:>8}  {:>8}  {:>10}",
        "writers", "postgres-es", "tuned", "our PostgreSQL", "ratio", "to tuned", "our SQLite"
    );
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for &writers in if asked.is_empty() { WRITERS.as_slice() } else { &asked } {
        let mut rates = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            for (contestant, rates) in contestants.iter().zip(&mut rates) {
                rates.push(contestant.round(writers, now).await);
            }
        }
        let [peer, tuned, postgres, sqlite] = rates.map(median);
        let (ratio, to_tuned) = (postgres / peer, postgres / tuned);
        println!(
            "{writers:>7}  {peer:>11.0}  {tuned:>11.0}  {postgres:>14.0}  {ratio:>7.1}x  {to_tuned:>7.1}x  {sqlite:>10.0}"
        );
    }
}
