//! Runners as processes, and a job that holds a lock until nothing of it is left.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rivet_events::id::JobId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::scripted_server::{PATIENCE, ScriptedServer};

/// A runner's process; killed when dropped.
pub(crate) struct Runner {
    pub(crate) process: Child,
    pub(crate) work_dir: TempDir,
}

impl Runner {
    pub(crate) fn start(server: &ScriptedServer, arguments: &[&str]) -> Self {
        Self::start_with(server, arguments, Stdio::null())
    }

    /// A runner whose own log goes to `stderr`.
    pub(crate) fn start_with(server: &ScriptedServer, arguments: &[&str], stderr: Stdio) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), server, arguments, stderr)
    }

    /// A runner with the work directory of another one.
    pub(crate) fn start_in(
        work_dir: TempDir,
        server: &ScriptedServer,
        arguments: &[&str],
        stderr: Stdio,
    ) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_rivet-orchestrator"))
            .args(["runner", "--server", &server.url, "--id", "läufer 1/a", "--work-dir"])
            .arg(work_dir.path())
            .args(arguments)
            .env("PATH", path_with_container_engine())
            .env("RUNNER_SECRET", "do not tell")
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .expect("a runner");
        Self { process, work_dir }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(pid.expect("a running process"), signal).expect("a signal");
    }

    /// Waits until the process has ended well.
    pub(crate) async fn ended(&mut self) {
        let status = timeout(PATIENCE, self.process.wait()).await.expect("the runner ends");
        let status = status.expect("an exit status");
        assert!(status.success(), "{status}");
    }

    pub(crate) fn workspaces(&self) -> usize {
        std::fs::read_dir(self.work_dir.path()).expect("a directory").count()
    }
}

/// The search path, with a program before it that passes for podman: it shows what it is told, and runs the command
/// after the image.
fn path_with_container_engine() -> String {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner/bin");
    std::env::var_os("PATH")
        .map_or_else(|| directory.to_owned(), |path| format!("{directory}:{}", path.display()))
}

/// A job that runs, and holds a lock as long as anything of it lives.
pub(crate) struct HeldJob {
    pub(crate) server: ScriptedServer,
    pub(crate) runner: Runner,
    pub(crate) job: JobId,
    pub(crate) lock: PathBuf,
    _directory: TempDir,
}

impl HeldJob {
    /// Runs a job with a runner of its own, until it has the lock. `source` is its script, for the path of the lock.
    pub(crate) async fn start(source: fn(&Path) -> String, arguments: &[&str]) -> Self {
        let server = ScriptedServer::start().await;
        let directory = tempfile::tempdir().expect("a directory");
        let lock = directory.path().join("lock");
        let runner = Runner::start(&server, arguments);
        let job = server.launch(&source(&lock));
        server.held(job).await;
        Self { server, runner, job, lock, _directory: directory }
    }

    pub(crate) fn cancel(&self) {
        self.server.cancel(self.job);
    }

    pub(crate) fn lose_lease(&self) {
        self.server.lose_lease(self.job);
    }

    /// The report of its end, as soon as it is there.
    pub(crate) async fn completion(&self) -> Value {
        self.server.completion(self.job).await
    }

    /// Waits until nothing of it is left.
    pub(crate) async fn released(&self) {
        unlocked(&self.lock).await;
    }
}

/// Waits until no process has the lock on `path`.
pub(crate) async fn unlocked(path: &Path) {
    let file = File::options().write(true).open(path).expect("a lock file");
    let locked = tokio::task::spawn_blocking(move || file.lock());
    timeout(PATIENCE, locked).await.expect("the job is still there").expect("no panic").expect("a lock");
}

pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(path).expect("an example")
}
