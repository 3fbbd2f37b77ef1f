//! Whether a long history makes anything slower: a store with many ended jobs compared with an empty one.
//!
//! `cargo bench -p rivet-tests --bench growth [-- [JOBS] [sqlite|postgres]]`: by default 1,000,000 jobs with five
//! events and ten log lines each, on SQLite and on PostgreSQL with its default settings. The history is appended to
//! the log, and the read models are built from it. At the end, the logs are archived.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

#[path = "growth/archive.rs"]
mod archive;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::log::{self, Append, EventLog, LogSettings, StreamWrite};
use rivet_events::{Event, Metadata, StreamId, Version};
use rivet_projections::ReadModels;
use rivet_tests::life::{claimed, completed, launched, logged, started};
use rivet_tests::program;
use rivet_tests::sample::new_pipeline;
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};

const LINES: usize = 10;
/// Number of appends at a time.
const WRITERS: usize = 256;
/// When the first job was launched, in seconds since 1970 UTC.
const BEGAN: i64 = 1_780_000_000;
/// Time between two launches, by the clock of the history.
const BETWEEN: TimeDelta = TimeDelta::milliseconds(100);
const PAGES: usize = 200;
/// The operations of the load that are compared.
const COMPARED: [&str; 3] = ["launch", "claim", "complete"];

#[tokio::main]
async fn main() {
    let jobs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let is_wanted = |kind: &StoreKind| {
        let mut names = std::env::args().skip(1).filter(|arg| ["sqlite", "postgres"].contains(&arg.as_str()));
        names.next().is_none_or(|name| name == format!("{kind:?}").to_lowercase())
    };
    for kind in [StoreKind::Sqlite, StoreKind::Postgres].into_iter().filter(is_wanted) {
        measure(kind, jobs).await;
    }
}

async fn measure(kind: StoreKind, jobs: u32) {
    let empty = Store::durable(kind).await;
    let server = Server::start(&empty, &[]).await;
    let before = load(&server);
    drop(server);

    let grown = Store::durable(kind).await;
    let empty_bytes = bytes(kind, &grown).await;
    let (pipeline, some_jobs) = grow(kind, &grown, jobs).await;
    settle(kind, &grown).await;
    let per_job = (bytes(kind, &grown).await - empty_bytes) as f64 / f64::from(jobs);
    println!("{kind:?}: {per_job:.0} bytes on disk a job");

    let began = Instant::now();
    let server = Server::start(&grown, &[]).await;
    println!("{kind:?}: ready {:.0} ms after its start", millis(began.elapsed()));
    pages(kind, &server, pipeline).await;
    let after = load(&server);
    for operation in COMPARED {
        let (empty, grown) = (median(&before, operation), median(&after, operation));
        println!(
            "{kind:?}: {operation} {empty:.2} ms on an empty store, {grown:.2} ms: {:.2} times",
            grown / empty
        );
    }
    for (name, report) in [("empty", &before), ("grown", &after)] {
        println!(
            "{kind:?}: {name}: {:.0} lifecycles/s at 8 workers, {} MB in memory",
            report["lifecycles"]["per_second"].as_f64().unwrap(),
            report["server"]["rss_bytes"].as_u64().unwrap() / 1_000_000,
        );
    }
    drop(server);
    archive::measure(kind, &grown, &some_jobs).await;
}

/// Appends the history, and builds the read models from it. Returns the pipeline of all its jobs, and some of these
/// jobs.
async fn grow(kind: StoreKind, store: &Store, jobs: u32) -> (String, Vec<String>) {
    // The pipeline exists, so that lists have a name for it.
    let server = Server::start(store, &[]).await;
    let pipeline = new_pipeline(&server.client()).await;
    assert!(server.terminate().await.success());
    let pipeline_id: PipelineId = pipeline.parse().unwrap();

    let database = store.open().await;
    let log = log::open(&database, LogSettings::default()).await.unwrap();
    let began = Instant::now();
    let first = DateTime::from_timestamp(BEGAN, 0).unwrap();
    let some_jobs = stream::iter(0..jobs)
        .map(async |n| (n, live(&*log, pipeline_id, first + BETWEEN * n.cast_signed()).await))
        .buffer_unordered(WRITERS)
        .filter_map(async |(n, job)| (n % (jobs / 50).max(1) == 0).then(|| job.to_string()))
        .collect()
        .await;
    let head = log.head().await.unwrap().0;
    println!("{kind:?}: {head} events appended at {:.0}/s", rate(head, began));

    let read_models = ReadModels::open(database.clone(), Arc::clone(&log)).await.unwrap();
    let names: Vec<&str> = ReadModels::names().collect();
    let began = Instant::now();
    read_models.rebuild(&names, |_| {}).await.unwrap();
    println!("{kind:?}: all read models built at {:.0} events/s", rate(head, began));
    log.close().await;
    database.close().await;
    (pipeline, some_jobs)
}

/// One job from its launch to its end.
async fn live(log: &dyn EventLog, pipeline_id: PipelineId, now: DateTime<Utc>) -> JobId {
    let job_id = JobId::generate();
    let life =
        [launched, claimed, started, completed].map(|event| Event::Job(event(job_id, pipeline_id, now)));
    let lines = Event::JobLog(logged(job_id, pipeline_id, LINES, now));
    let write = |stream, events| StreamWrite { stream, expected: Version::default(), events };
    let writes =
        vec![write(StreamId::job(job_id), life.to_vec()), write(StreamId::job_log(job_id), vec![lines])];
    log.append(Append { writes, metadata: Metadata::default(), recorded_at: now }).await.unwrap();
    job_id
}

/// Measures the first page of each list.
async fn pages(kind: StoreKind, server: &Server, pipeline: String) {
    let api = server.client();
    let lists = [
        "/api/jobs".to_owned(),
        "/api/jobs?status=Succeeded".to_owned(),
        "/api/jobs?runner_id=build-01".to_owned(),
        format!("/api/jobs/pipeline/{pipeline}"),
        "/api/jobs/scheduled".to_owned(),
        "/api/runners".to_owned(),
        "/api/pipeline/list".to_owned(),
        "/api/events?limit=100".to_owned(),
        "/api/stats".to_owned(),
        "/api/stats/history".to_owned(),
    ];
    for list in lists {
        let mut times = Vec::with_capacity(PAGES);
        for _ in 0..PAGES {
            let began = Instant::now();
            api.get(&list).await.expect(200);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let (median, p99) = (times[PAGES / 2], times[PAGES * 99 / 100]);
        println!("{kind:?}: GET {list}: median {:.2} ms, p99 {:.2} ms", millis(median), millis(p99));
    }
}

/// Measures the load of eight workers for ten seconds.
fn load(server: &Server) -> Value {
    let mut bench = Command::new(program::path());
    bench.args(["bench", "--json", "--workers", "8", "--duration", "10s"]);
    bench.args(["--server", server.url()]);
    bench.args(["--pid", &server.pid().as_raw_nonzero().to_string()]);
    let output = bench.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn median(report: &Value, operation: &str) -> f64 {
    let operations = report["operations"].as_array().unwrap();
    operations.iter().find(|of| of["operation"] == operation).unwrap()["p50"].as_f64().unwrap()
}

/// Brings the store into the state that it would have some time after it was filled: runs what autovacuum does, and
/// waits until the system has written its gigabytes to disk, which delays every other access to the disk.
async fn settle(kind: StoreKind, store: &Store) {
    assert!(Command::new("sync").status().unwrap().success());
    match kind {
        StoreKind::Sqlite => {}
        StoreKind::Postgres => {
            let mut connection = PgConnection::connect(store.url()).await.unwrap();
            for statement in ["vacuum (analyze)", "checkpoint"] {
                connection.execute(statement).await.unwrap();
            }
        }
    }
}

async fn bytes(kind: StoreKind, store: &Store) -> u64 {
    match kind {
        StoreKind::Sqlite => {
            let file = store.url().strip_prefix("sqlite://").unwrap();
            std::fs::metadata(file).map_or(0, |file| file.len())
        }
        StoreKind::Postgres => {
            let mut connection = PgConnection::connect(store.url()).await.unwrap();
            let size: i64 = sqlx::query_scalar("select pg_database_size(current_database())")
                .fetch_one(&mut connection)
                .await
                .unwrap();
            size.cast_unsigned()
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}
