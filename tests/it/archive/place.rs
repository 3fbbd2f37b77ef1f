//! A store with an archive, and jobs whose logs can be archived.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use rivet_events::claim::{ClaimAnswered, ClaimEvent};
use rivet_events::database::Database;
use rivet_events::job::JobEvent;
use rivet_events::job_log::{JobLogAppended, JobLogEvent};
use rivet_events::{Event, StreamId};
use rivet_tests::client::Client;
use rivet_tests::history::{Stream, streams};
use rivet_tests::process::Process;
use rivet_tests::program::{command, printed, run_on, spawn};
use rivet_tests::sample::{entry, new_claimed_job, success};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::recorded;
use rivet_tests::wait::eventually;
use tokio::process::Child;

/// Archives every log of an ended job, however recently it ended.
pub(super) const ARCHIVE: [&str; 4] = ["--older-than", "1ms", "--log-grace", "1ms"];

/// A store, and where its archive is.
pub(super) struct Place {
    pub(super) store: Store,
    archive: tempfile::TempDir,
    url: String,
}

impl Place {
    pub(super) async fn new(kind: StoreKind) -> Self {
        let archive = tempfile::Builder::new().prefix("rivet-archive-").tempdir().unwrap();
        let url = format!("file://{}", archive.path().display());
        Self { store: Store::create(kind).await, archive, url }
    }

    pub(super) async fn server(&self, flags: &[&str]) -> Server {
        Server::start(&self.store, &[&["--archive-url", &self.url], flags].concat()).await
    }

    pub(super) async fn run(&self, args: &[&str]) -> Output {
        run_on(&self.store, &[args, &["--archive-url", &self.url]].concat()).await
    }

    /// Archives as [`ARCHIVE`] says.
    pub(super) async fn archive(&self) -> Output {
        self.run(&[&["archive"], &ARCHIVE[..]].concat()).await
    }

    /// Starts `archive` as a process, which is killed when the value is dropped.
    pub(super) fn begin(&self, options: &[&str]) -> Child {
        let place = ["--database-url", self.store.url(), "--archive-url", &self.url];
        spawn(&mut command(&[&["archive"], options, &place].concat()))
    }

    pub(super) async fn assert_proven(&self) {
        let verified = self.run(&["verify"]).await;
        assert!(printed(&verified).starts_with("verified "), "{verified:?}");
    }

    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.archive.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The events of job logs in the table of the log.
    pub(super) async fn log_rows(&self) -> i64 {
        self.count("events where aggregate_type = 'job_log'").await
    }

    /// The number of rows of a table, or of those that meet a condition.
    pub(super) async fn count(&self, rows: &str) -> i64 {
        let text = format!("select count(*) from {rows}");
        match Database::connect(self.store.url()).await.unwrap() {
            Database::Sqlite(sqlite) => sqlx::query_scalar(&text).fetch_one(&sqlite.readers).await.unwrap(),
            Database::Postgres(postgres) => {
                sqlx::query_scalar(&text).fetch_one(&postgres.pool).await.unwrap()
            }
        }
    }

    /// Makes it look as if a read model were being rebuilt, or ends that.
    pub(super) async fn pretend_rebuild(&self, begins: bool) {
        let statement = if begins {
            "insert into checkpoints values ('jobs', 99, 1, 'rebuilding', 0, 9000000000000000)"
        } else {
            "delete from checkpoints where generation = 99"
        };
        self.store.execute(statement).await;
    }

    /// Starts `archive` while nothing may be deleted from the log, as if a read model were being rebuilt, and kills it
    /// once it has recorded an event of this type.
    pub(super) async fn kill_after(&self, client: &Client, options: &[&str], event_type: &str) {
        self.pretend_rebuild(true).await;
        let mut archiver = self.begin(options);
        eventually(event_type, async || (!recorded(client, event_type).await.is_empty()).then_some(())).await;
        archiver.kill().await.unwrap();
        self.pretend_rebuild(false).await;
    }
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(super) fn assert_archived(output: &Output, what: &str) {
    assert!(output.status.success() && said(output).contains(what), "{output:?}");
}

/// An ended job whose log has this number of batches, each with a few long lines.
pub(super) async fn new_logged_job(client: &Client, batches: usize) -> String {
    let job = new_claimed_job(client, "r1").await;
    for batch in 0..batches {
        let line = |n: usize| entry(&format!("{batch}.{n} \u{0} \"ü\" \n{}", "x".repeat(150 * n)));
        client.append_logs(&job, &(0..7).map(line).collect()).await.expect(201);
    }
    client.complete(&job, &success()).await.expect(204);
    job
}

/// Appends jobs that ended years ago.
pub(super) async fn append_streams(place: &Place, jobs: usize) {
    append(place, &streams(8, jobs)).await;
}

/// As [`append_streams`], with jobs that were claimed under keys.
pub(super) async fn append_keyed_claims(place: &Place, jobs: usize) {
    let mut streams = streams(8, jobs);
    let mut claims = Vec::new();
    for event in streams.iter_mut().flat_map(|(_, events)| events) {
        let Event::Job(JobEvent::Claimed(claimed)) = event else { continue };
        let request_key = claimed.lease_id.to_string();
        claimed.request_key = Some(request_key.clone());
        let stream = StreamId::claim(&claimed.runner_id, &request_key);
        let answered = ClaimEvent::Answered(ClaimAnswered {
            runner_id: claimed.runner_id.clone(),
            request_key,
            job_id: claimed.job_id,
            lease_id: claimed.lease_id,
            answered_at: claimed.claimed_at,
        });
        claims.push((stream, vec![Event::Claim(answered)]));
    }
    append(place, &[claims, streams].concat()).await;
}

/// As [`append_streams`], with logs so long that archiving some hundred of them takes several transactions.
pub(super) async fn append_long_logs(place: &Place, jobs: usize) {
    let mut streams = streams(8, jobs);
    for (_, events) in &mut streams {
        let Some(Event::JobLog(JobLogEvent::Appended(last))) = events.last() else { continue };
        let longer = (1..20).map(|n| {
            let first_index = last.first_index + n * last.entries.len() as u64;
            let digest = format!("{}/{first_index}", last.job_id);
            Event::JobLog(JobLogEvent::Appended(JobLogAppended { first_index, digest, ..last.clone() }))
        });
        let longer: Vec<Event> = longer.collect();
        events.extend(longer);
    }
    append(place, &streams).await;
}

/// Appends these streams, and a few more.
pub(super) async fn append(place: &Place, some: &[Stream]) {
    let process = Process::over(&place.store).await;
    process.append_all(some, 4).await;
    // Where archived events are the last ones of their time, the log is searched only up to before them.
    process.append_all(&streams(9, 0), 4).await;
    process.close().await;
}
