//! The reference runner: the real program, in a process of its own that ends with the test.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::program;
use crate::server::Server;

/// The environment variable that tells a runner to end when its standard input is closed.
pub const LIFELINE: &str = "RIVET_UNDER_TEST_LIFELINE";

/// A running runner.
#[derive(Debug)]
pub struct Runner {
    process: Child,
    _work_dir: TempDir,
}

impl Runner {
    /// Starts a runner for a server, with further flags of `runner`.
    pub fn start(server: &Server, id: &str, flags: &[&str]) -> Self {
        let work_dir = tempfile::Builder::new()
            .prefix("rivet-runner-")
            .tempdir()
            .expect("the temporary directory can be written");
        let process = Command::new(program::path())
            .args(["runner", "--server", server.url(), "--id", id])
            .arg("--work-dir")
            .arg(work_dir.path())
            .args(flags)
            .env(LIFELINE, "stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program is built beside its tests");
        Self { process, _work_dir: work_dir }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
