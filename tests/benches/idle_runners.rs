//! What idle runners cost, and how fast they wake: thousands of them in the long poll of next-claim, then a burst of
//! launches.
//!
//! `cargo bench -p rivet-tests --bench idle_runners [-- RUNNERS [LAUNCHES]]`: by default 10,000 runners and 1,000
//! launches, on SQLite and on PostgreSQL with its default settings. Linux only, since it reads `/proc`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use rivet_tests::client::Client;
use rivet_tests::sample::{launched, new_pipeline, success};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::head;
use rivet_tests::wait::eventually;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

/// Longest wait that a server grants a next-claim.
const WAIT_MS: u64 = 50_000;
/// How long the idle server is measured.
const WATCH: Duration = Duration::from_secs(20);
/// Pause before that measurement, until earlier work in the background is done.
const SETTLE: Duration = Duration::from_secs(10);
/// Number of concurrent requests, where there are many.
const AT_ONCE: usize = 64;
/// How many runners connect at the same time, and how long until the next group does: ten thousand at once overflow
/// the system's queue of connections that are not accepted yet, and those would wait for TCP to retry.
const WAVE: usize = 250;
const BETWEEN_WAVES: Duration = Duration::from_millis(100);
/// The capabilities of the runners, which get these four in turn; the jobs demand nothing.
const CAPABILITIES: [&[&str]; 4] = [&[], &["docker"], &["docker", "linux"], &["gpu"]];
/// Ticks per second of the CPU times in `/proc`.
const USER_HZ: f64 = 100.0;

#[tokio::main]
async fn main() {
    raise_file_limit();
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let runners = numbers.next().unwrap_or(10_000);
    let launches = numbers.next().unwrap_or(1_000);
    println!(
        "| store | phase | events/s | commits/s | rows/s | written KiB/s | server CPU | server RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut outcomes = Vec::new();
    for kind in [StoreKind::Sqlite, StoreKind::Postgres] {
        let store = Store::durable(kind).await;
        outcomes.push(measure(kind, &store, runners, launches).await);
    }
    for outcome in outcomes {
        println!("{outcome}");
    }
}

/// An answered claim.
struct Claimed {
    job: String,
    lease: String,
    at: Instant,
}

async fn measure(kind: StoreKind, store: &Store, runners: usize, launches: usize) -> String {
    let connections = (runners + 1_000).to_string();
    let server = Server::start(store, &["--max-connections", &connections]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let started = Instant::now();
    stream::iter(0..runners)
        .for_each_concurrent(AT_ONCE, async |runner| {
            let capabilities = CAPABILITIES[runner % CAPABILITIES.len()];
            api.register(&format!("runner-{runner}"), capabilities).await.expect(200);
        })
        .await;
    let registered = started.elapsed();

    let claims = Arc::new(Mutex::new(Vec::new()));
    let mut polls = JoinSet::new();
    let mut wave = tokio::time::interval(BETWEEN_WAVES);
    for runner in 0..runners {
        if runner % WAVE == 0 {
            wave.tick().await;
        }
        polls.spawn(poll(api.clone(), runner, Arc::clone(&claims)));
    }
    tokio::time::sleep(SETTLE).await;
    watch(kind, store, &server, "idle").await;

    let began = Usage::of(kind, store, &server).await;
    // When the launch of each job was answered.
    let answered: Mutex<HashMap<String, Instant>> = Mutex::new(HashMap::new());
    let burst = Instant::now();
    stream::iter(0..launches)
        .for_each_concurrent(AT_ONCE, async |_| {
            let job = launched(&api, &pipeline).await;
            answered.lock().unwrap().insert(job, Instant::now());
        })
        .await;
    let all_launched = burst.elapsed();
    eventually("every job to be claimed", async || (claims.lock().unwrap().len() >= launches).then_some(()))
        .await;
    let all_claimed = burst.elapsed();
    println!("{}", Usage::of(kind, store, &server).await.since(&began).row(kind, "burst"));
    tokio::time::sleep(SETTLE).await;
    watch(kind, store, &server, "idle again").await;
    polls.abort_all();
    while polls.join_next().await.is_some() {}

    let claims = std::mem::take(&mut *claims.lock().unwrap());
    let answered = answered.into_inner().unwrap();
    assert_claimed_once(&api, &claims, &answered).await;
    let mut waits: Vec<Duration> =
        claims.iter().map(|claim| claim.at.saturating_duration_since(answered[&claim.job])).collect();
    waits.sort_unstable();
    format!(
        "{kind:?}: {runners} runners registered in {registered:.1?}; {launches} launches in {all_launched:.1?}, \
         each claimed once by {all_claimed:.1?}; launch answer to claim answer: median {:.1?}, p99 {:.1?}, max {:.1?}",
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        waits[waits.len() - 1],
    )
}

/// A runner, which polls and completes every job that it gets at once.
async fn poll(api: Client, runner: usize, claims: Arc<Mutex<Vec<Claimed>>>) {
    // The first waits have different lengths, so that the polls are spread as those of real runners are.
    let mut wait_ms = runner as u64 * 7_919 % WAIT_MS;
    loop {
        let answer = api.claim_next(&format!("runner-{runner}"), wait_ms).await;
        wait_ms = WAIT_MS;
        if answer.status == 204 {
            continue;
        }
        let at = Instant::now();
        let job = answer.expect(200);
        let text = |member: &str| job[member].as_str().unwrap().to_owned();
        let (job, lease) = (text("job_id"), text("lease_id"));
        let holder = api.with("rivet-lease", &lease);
        claims.lock().unwrap().push(Claimed { job: job.clone(), lease, at });
        holder.complete(&job, &success()).await.expect(204);
    }
}

async fn assert_claimed_once(api: &Client, claims: &[Claimed], answered: &HashMap<String, Instant>) {
    let leases: HashMap<&str, &str> = claims.iter().map(|c| (&*c.job, &*c.lease)).collect();
    assert_eq!(claims.len(), leases.len(), "a job was claimed twice");
    assert_eq!(leases.len(), answered.len());
    for job in answered.keys() {
        assert!(leases.contains_key(&**job), "{job} was not claimed");
        assert_eq!(api.job(job).await.expect(200)["status"], "Succeeded");
    }
}

async fn watch(kind: StoreKind, store: &Store, server: &Server, phase: &str) {
    let began = Usage::of(kind, store, server).await;
    tokio::time::sleep(WATCH).await;
    println!("{}", Usage::of(kind, store, server).await.since(&began).row(kind, phase));
}

/// Resources used so far.
struct Usage {
    at: Instant,
    head: u64,
    commits: i64,
    rows: i64,
    written: u64,
    cpu_ticks: u64,
    rss_kib: u64,
}

/// Resources used during an interval.
struct Rates {
    seconds: f64,
    used: Usage,
}

impl Usage {
    async fn of(kind: StoreKind, store: &Store, server: &Server) -> Self {
        let head = head(&server.client()).await;
        let process = Path::new("/proc").join(server.pid().as_raw_nonzero().to_string());
        let stat = fs::read_to_string(process.join("stat")).unwrap();
        // pid (name) state … utime stime …: the 14th and the 15th field; the name may contain anything.
        let cpu = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
        let (commits, rows, written) = match kind {
            StoreKind::Sqlite => (0, 0, number(&process.join("io"), "write_bytes:")),
            StoreKind::Postgres => postgres_writes(store.url()).await,
        };
        Self {
            at: Instant::now(),
            head,
            commits,
            rows,
            written,
            cpu_ticks: cpu.map(|ticks| ticks.parse::<u64>().unwrap()).sum(),
            rss_kib: number(&process.join("status"), "VmRSS:"),
        }
    }

    fn since(self, began: &Self) -> Rates {
        Rates {
            seconds: (self.at - began.at).as_secs_f64(),
            used: Self {
                head: self.head - began.head,
                commits: self.commits - began.commits,
                rows: self.rows - began.rows,
                written: self.written - began.written,
                cpu_ticks: self.cpu_ticks - began.cpu_ticks,
                ..self
            },
        }
    }
}

impl Rates {
    fn row(&self, kind: StoreKind, phase: &str) -> String {
        let Self { seconds, used } = self;
        let rate = |count: f64| count / seconds;
        let rows = match kind {
            StoreKind::Sqlite => "| |".to_owned(),
            StoreKind::Postgres => {
                format!("{:.1} | {:.1} |", rate(used.commits as f64), rate(used.rows as f64))
            }
        };
        format!(
            "| {kind:?} | {phase} ({seconds:.1} s) | {:.1} | {rows} {:.1} | {:.0} % | {:.0} |",
            rate(used.head as f64),
            rate(used.written as f64 / 1024.0),
            rate(used.cpu_ticks as f64 / USER_HZ * 100.0),
            used.rss_kib as f64 / 1024.0,
        )
    }
}

/// Transactions, changed rows (this program only reads), and bytes of the write-ahead log.
async fn postgres_writes(url: &str) -> (i64, i64, u64) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let (commits, rows, written): (i64, i64, i64) = sqlx::query_as(
        "select xact_commit, tup_inserted + tup_updated + tup_deleted,
             pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
         from pg_stat_database where datname = current_database()",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    (commits, rows, written.try_into().unwrap())
}

/// The number after `name` in a file of `/proc`.
fn number(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Raises the limit of open files: each runner is a connection, and each connection a file.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
