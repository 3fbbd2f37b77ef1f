//! How fast read models are: following a busy log, answering a read that waits for its own write, rebuilding and
//! verifying.
//!
//! `cargo bench -p rivet-tests --bench rebuild [-- EVENTS]`: by default 1,000,000 events, on SQLite and on PostgreSQL
//! with its default settings.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rivet_events::log::{self, LogSettings};
use rivet_projections::ReadModels;
use rivet_tests::history::{Generator, append};
use rivet_tests::store::{Store, StoreKind};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_hours(1);
const WRITERS: usize = 256;
const READS: usize = 300;

#[tokio::main]
async fn main() {
    let events = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    for kind in [StoreKind::Sqlite, StoreKind::Postgres] {
        measure(kind, events).await;
    }
}

async fn measure(kind: StoreKind, events: u64) {
    let store = Store::durable(kind).await;
    let database = store.open().await;
    let log = log::open(&database, LogSettings::default()).await.unwrap();
    let read_models = ReadModels::open(database, Arc::clone(&log)).await.unwrap();
    let shutdown = CancellationToken::new();
    let run = read_models.run(shutdown.clone());
    let work = async {
        let started = Instant::now();
        let mut generator = Generator::new(1);
        join_all(generator.pipelines_and_runners().iter().map(|stream| append(&*log, stream, 1))).await;
        while log.watch().borrow().0 < events {
            let jobs: Vec<_> = (0..WRITERS).flat_map(|_| generator.job()).collect();
            join_all(jobs.iter().map(|stream| append(&*log, stream, 1))).await;
        }
        let head = log.head().await.unwrap();
        println!("{kind:?}: {head} events appended and followed at {:.0}/s", rate(head.0, started));
        read_models.wait_for(head, LONG).await;
        println!("{kind:?}: read models at head, {:.0}/s", rate(head.0, started));

        let mut waits = Vec::with_capacity(READS);
        for stream in (0..READS).flat_map(|_| generator.job()) {
            append(&*log, &stream, 1000).await;
            let started = Instant::now();
            let head = *log.watch().borrow();
            assert!(read_models.wait_for(head, LONG).await);
            waits.push(started.elapsed());
        }
        waits.sort_unstable();
        println!(
            "{kind:?}: a read waits for its own write {:?}, p99 {:?}",
            waits[READS / 2],
            waits[READS * 99 / 100]
        );

        let names: Vec<&str> = ReadModels::names().collect();
        let started = Instant::now();
        read_models.rebuild(&names, |_| {}).await.unwrap();
        println!("{kind:?}: all read models rebuilt at {:.0} events/s", rate(head.0, started));
        for one in names {
            let started = Instant::now();
            read_models.rebuild(&[one], |_| {}).await.unwrap();
            println!("{kind:?}: {one} alone rebuilt at {:.0} events/s", rate(head.0, started));
        }
        let started = Instant::now();
        let report = read_models.verify(|_| {}).await.unwrap();
        assert!(report.is_clean());
        println!("{kind:?}: verified {} rows at {:.0} events/s", report.rows, rate(head.0, started));
        shutdown.cancel();
    };
    tokio::join!(run, work);
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}
