//! What archiving such a history costs: how fast, how small, and how fast an archived log is read.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rivet_tests::program;
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};

use super::{bytes, millis};

/// How long after its start the first archiver is killed.
const KILLED_AFTER: Duration = Duration::from_secs(20);

/// Archives all logs, with one archiver that is killed and one that goes on; then reads the logs of `jobs`.
pub(super) async fn measure(kind: StoreKind, store: &Store, jobs: &[String]) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let archive = || {
        let mut archive = Command::new(program::path());
        archive.args(["archive", "--older-than", "1d", "--database-url", store.url(), "--archive-url", &url]);
        archive.stdout(Stdio::null()).stderr(Stdio::piped());
        archive
    };
    let before = bytes(kind, store).await;
    let began = Instant::now();
    let mut killed = archive().spawn().unwrap();
    thread::sleep(KILLED_AFTER);
    killed.kill().unwrap();
    killed.wait().unwrap();
    println!(
        "{kind:?}: an archiver was killed after {KILLED_AFTER:?}, with {} in segments",
        megabytes(size(directory.path()))
    );
    let resumed = archive().output().unwrap();
    assert!(resumed.status.success(), "{resumed:?}");
    let said = String::from_utf8_lossy(&resumed.stderr);
    println!("{kind:?}: {}", said.lines().last().unwrap_or_default());
    println!(
        "{kind:?}: both together took {:.0} s; the database {} before, {} after, segments {}",
        began.elapsed().as_secs_f64(),
        megabytes(before),
        megabytes(bytes(kind, store).await),
        megabytes(size(directory.path())),
    );

    let server = Server::start(store, &["--archive-url", &url]).await;
    let api = server.client();
    let mut times = Vec::new();
    for job in jobs {
        let began = Instant::now();
        let lines = api.logs(job).await.expect(200);
        times.push(began.elapsed());
        assert_eq!(lines.as_array().map(Vec::len), Some(super::LINES));
    }
    times.sort_unstable();
    println!(
        "{kind:?}: GET of an archived log: median {:.2} ms, longest of {} {:.2} ms",
        millis(times[times.len() / 2]),
        times.len(),
        millis(times[times.len() - 1])
    );
}

fn size(directory: &Path) -> u64 {
    std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
