//! The process in which one job runs: a child of the runner, from the same binary, that leads a process group of
//! its own. Whatever the job starts is in that group, so stopping the group stops the job.
//!
//! The child gets its [`Order`] as the first line of its standard input, and an environment without anything of
//! the runner's own. It writes [`Message`]s to its standard output, one JSON document a line, the last one the
//! result. Its input stays open as long as the runner lives; at its end the child kills its group, so that a
//! killed runner leaves no job behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use rivet_events::job_log::LogEntry;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::container::Engine;
use super::execution::{JobExecution, JobResult};

/// The hidden subcommand of the binary that runs [`super::script::main`].
pub const JOB_PROCESS_COMMAND: &str = "runner-job";

/// All that the child needs to run its job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The job.
    pub(super) execution: JobExecution,
    /// The directory that the job works in.
    pub(super) workspace: PathBuf,
    /// What runs containers on this machine, if anything does.
    pub(super) engine: Option<Engine>,
}

/// What the child tells.
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
    /// Open as long as the runner lives.
    _lifeline: ChildStdin,
}

/// What a running job tells, in order.
#[derive(Debug)]
pub(super) struct Messages(Lines<BufReader<ChildStdout>>);

/// The processes of one job.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessGroup(Pid);

impl JobProcess {
    /// Starts the job.
    pub(super) async fn spawn(order: &Order) -> anyhow::Result<(Self, Messages)> {
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

    /// The processes to signal.
    pub(super) fn group(&self) -> ProcessGroup {
        self.group
    }

    /// Ends whatever the job left running, and says how its own process ended.
    pub(super) async fn reap(mut self) -> String {
        // Before the wait: until then the id of the group cannot be given to anybody else.
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
    /// The next message; `None` when the process has ended.
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
    /// Asks the processes to end: the leader first, so that it knows why when it sees another one end.
    pub(super) fn terminate(self) {
        ignore_ended(kill_process(self.0, Signal::TERM));
        ignore_ended(kill_process_group(self.0, Signal::TERM));
    }

    /// Ends the processes.
    pub(super) fn kill(self) {
        ignore_ended(kill_process_group(self.0, Signal::KILL));
    }
}

fn ignore_ended(signalled: rustix::io::Result<()>) {
    if let Err(error) = signalled {
        tracing::debug!(%error, "the processes of the job have ended already");
    }
}

/// The environment of a job, before what its pipeline declares: nothing of the runner's own but where programs and
/// languages are found.
fn environment(order: &Order) -> Vec<(&'static str, std::ffi::OsString)> {
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
