//! The process in which one job runs: a child of the runner, from the same binary, that leads a process group of
//! its own. Whatever the job starts is in that group, so stopping the group stops the job, unless it leaves the group
//! (`setsid`): such a process is not stopped.
//!
//! The child gets its [`JobOrder`] as the first line of its standard input, and an environment in which nothing of
//! the runner's is left but `PATH` and `LANG`. It writes [`Message`]s to its standard output, one JSON document a
//! line, the last one the result. Its standard input stays open as long as the runner lives. When it is closed, the
//! child kills its group, so that a killed runner leaves no job behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use rivet_events::job::JobResult;
use rivet_events::job_log::LogEntry;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::container::Engine;
use super::execution::JobExecution;

/// The hidden subcommand of the binary that runs [`super::script::main`].
pub(crate) const JOB_PROCESS_COMMAND: &str = "runner-job";

/// All that the child needs to run its job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobOrder {
    /// The job.
    pub(super) execution: JobExecution,
    /// The directory that the job works in.
    pub(super) workspace: PathBuf,
    /// The container engine of this machine, if it has one.
    pub(super) engine: Option<Engine>,
}

/// What the child reports to the runner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The job wrote to its log.
    Log(LogEntry),
    /// The job ended; nothing follows.
    Result(JobResult),
}

/// A running job. Dropping it kills it.
#[derive(Debug)]
pub(super) struct JobProcess {
    child: Child,
    group: ProcessGroup,
    /// The child's standard input. Closing it, also by the runner's death, makes the child kill its group.
    _lifeline: ChildStdin,
}

/// The messages of a running job, in order.
#[derive(Debug)]
pub(super) struct Messages(Lines<BufReader<ChildStdout>>);

/// The process group of one job.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessGroup(Pid);

impl JobProcess {
    /// Starts the process and gives it its order.
    pub(super) async fn spawn(order: &JobOrder) -> anyhow::Result<(Self, Messages)> {
        let program = std::env::current_exe().context("the runner's own program is not known")?;
        let mut child = Command::new(program)
            .arg(JOB_PROCESS_COMMAND)
            .current_dir(&order.workspace)
            .env_clear()
            .envs(environment(order))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("the job's process cannot be started")?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let group = ProcessGroup(pid.context("the job's process ended at once")?);
        let mut lifeline = child.stdin.take().expect("invariant: its input is piped");
        let messages =
            Messages(BufReader::new(child.stdout.take().expect("invariant: its output is piped")).lines());

        let mut line = serde_json::to_vec(order).context("the job's order")?;
        line.push(b'\n');
        lifeline.write_all(&line).await.context("the job's process did not take its order")?;
        Ok((Self { child, group, _lifeline: lifeline }, messages))
    }

    /// The group to signal.
    pub(super) fn group(&self) -> ProcessGroup {
        self.group
    }

    /// Kills whatever is left of the group, waits for the child, and says how the child ended.
    pub(super) async fn reap(mut self) -> String {
        // Before the wait: until the child is waited for, the system cannot reuse its id, which is the group's.
        self.group.kill();
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for JobProcess {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.group.kill();
        }
    }
}

impl Messages {
    /// The next message; `None` when the job's output is closed.
    pub(super) async fn next(&mut self) -> Option<Message> {
        while let Ok(Some(line)) = self.0.next_line().await {
            match serde_json::from_str(&line) {
                Ok(message) => return Some(message),
                Err(error) => tracing::warn!(%error, "the job's process sent a line that is no message"),
            }
        }
        None
    }
}

impl ProcessGroup {
    /// Asks the processes to end with SIGTERM. The leader gets it first, so that it knows of the cancellation before
    /// it sees another process end by it.
    pub(super) fn terminate(self) {
        ignore_ended(kill_process(self.0, Signal::TERM));
        ignore_ended(kill_process_group(self.0, Signal::TERM));
    }

    /// Kills the processes.
    pub(super) fn kill(self) {
        ignore_ended(kill_process_group(self.0, Signal::KILL));
    }
}

fn ignore_ended(signalled: rustix::io::Result<()>) {
    if let Err(error) = signalled {
        tracing::debug!(%error, "the processes of the job have ended already");
    }
}

/// The environment of a job, before what its pipeline declares. Of the runner's own it has only `PATH` and `LANG`.
fn environment(order: &JobOrder) -> Vec<(&'static str, std::ffi::OsString)> {
    let inherited = ["PATH", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let own = [
        ("HOME", Path::as_os_str(&order.workspace).to_owned()),
        ("CI", "true".into()),
        ("RIVET_JOB_ID", order.execution.job_id.to_string().into()),
        ("RIVET_PIPELINE_ID", order.execution.pipeline_id.to_string().into()),
        ("RIVET_ATTEMPT", order.execution.attempt.to_string().into()),
    ];
    inherited.chain(own).collect()
}
