//! The parent's side of the child process: starts it, enforces limits from outside, and always reaps it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::child::{Answer, MAX_ANSWER_BYTES};
use super::{Definition, DefinitionError, Limit, MAX_SCRIPT_BYTES};

/// Has the allocator of the child (mimalloc) commit memory as it needs it. By default it maps a gigabyte at the
/// start, which counts against `RLIMIT_DATA`: the limit would not bound what is used within, and nothing else could
/// be mapped.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// Reads definitions, each in a child process of its own, a bounded number at a time.
#[derive(Debug)]
pub struct Evaluator {
    program: PathBuf,
    slots: Semaphore,
    timeouts: Timeouts,
}

/// Timeouts of an evaluation, in wall-clock time. Exceeding them is never the script's fault: a script that does not
/// end uses up its processor time, one second, and is stopped for that.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Longest wait for a free slot.
    pub slot_wait: Duration,
    /// Longest life of a child. A script has nothing to wait for, so a child that lives much longer than its
    /// processor time was not scheduled.
    pub wall_limit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { slot_wait: Duration::from_secs(5), wall_limit: Duration::from_secs(10) }
    }
}

impl Evaluator {
    /// The subcommand of `program` that must run [`child::main`](super::child::main).
    pub const SUBCOMMAND: &str = "read-definition";

    /// Evaluates with `program`, the absolute path of this binary, at most `max_concurrent` scripts at once.
    #[must_use]
    pub fn new(program: PathBuf, max_concurrent: usize) -> Self {
        Self { program, slots: Semaphore::new(max_concurrent), timeouts: Timeouts::default() }
    }

    /// Replaces the default timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Reads the definition of `script`. A script that does not end is refused after a second of processor time; if
    /// the machine does not grant that in time, the result is [`DefinitionError::Busy`]. Cancel safe: dropping the
    /// future kills the child process.
    ///
    /// # Panics
    /// Never: the semaphore stays open and the pipes of a child are there.
    pub async fn read(&self, script: &str) -> Result<Definition, DefinitionError> {
        if script.len() > MAX_SCRIPT_BYTES {
            return Err(Limit::Script.into());
        }
        let slot = timeout(self.timeouts.slot_wait, self.slots.acquire())
            .await
            .map_err(|_| DefinitionError::Busy)?;
        let _slot = slot.expect("invariant: the semaphore is never closed");
        let mut child = self.spawn().map_err(DefinitionError::Unavailable)?;
        let talk = timeout(self.timeouts.wall_limit, talk(&mut child, script)).await;
        match talk {
            Ok(Ok((status, answer))) => conclude(status, &answer),
            Ok(Err(error)) => {
                kill(&mut child).await;
                Err(error)
            }
            Err(_elapsed) => {
                kill(&mut child).await;
                Err(DefinitionError::Busy)
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg(Self::SUBCOMMAND)
            .env_clear()
            .env(ALLOCATOR.0, ALLOCATOR.1)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Sends the script to the child, and reads its answer and its exit status.
async fn talk(child: &mut Child, script: &str) -> Result<(ExitStatus, Vec<u8>), DefinitionError> {
    let mut stdin = child.stdin.take().expect("invariant: stdin is piped");
    let stdout = child.stdout.take().expect("invariant: stdout is piped");
    // If the child dies early, this write fails; the exit status tells why.
    let _ = stdin.write_all(script.as_bytes()).await;
    drop(stdin);
    let mut answer = Vec::new();
    let bound = MAX_ANSWER_BYTES as u64 + 1;
    stdout.take(bound).read_to_end(&mut answer).await.map_err(DefinitionError::Unavailable)?;
    if answer.len() > MAX_ANSWER_BYTES {
        return Err(Limit::Output.into());
    }
    let status = child.wait().await.map_err(DefinitionError::Unavailable)?;
    Ok((status, answer))
}

async fn kill(child: &mut Child) {
    // It fails only if the child has already ended and been reaped.
    let _ = child.kill().await;
}

/// Interprets the exit status of a child and its answer.
fn conclude(status: ExitStatus, answer: &[u8]) -> Answer {
    if status.success() {
        return serde_json::from_slice(answer).unwrap_or_else(|error| unavailable(error.to_string()));
    }
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => Err(Limit::Time.into()),
        // An allocation failed at the limit of the process. (SIGKILL would mean that the machine has no memory left.)
        Some(Signal::ABORT) => Err(Limit::Memory.into()),
        Some(Signal::SEGV | Signal::BUS) => Err(Limit::Recursion.into()),
        _ => unavailable(status.to_string()),
    }
}

fn unavailable(reason: String) -> Answer {
    Err(DefinitionError::Unavailable(io::Error::other(reason)))
}
