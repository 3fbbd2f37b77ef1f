//! The container engine of this machine: podman if it works, else docker.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rivet_events::id::JobId;
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a command of the engine may take; then it is killed, and counts as failed.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Engine {
    /// `podman`.
    Podman,
    /// `docker`, where root in a container is the runner's user outside of it, as with podman: it runs without root, or
    /// that user is root.
    Docker,
    /// `docker`, whose daemon is root while the runner is not: files that root writes in a container would be root's
    /// outside of it, too, and the runner could not even delete them.
    DockerOfRoot,
}

impl Engine {
    /// Finds a working engine: one whose `info` command succeeds, so that an engine without its daemon does not
    /// count.
    pub(super) async fn find() -> Option<Self> {
        if output("podman", &["info"], COMMAND_TIMEOUT).await.is_some() {
            return Some(Self::Podman);
        }
        let security =
            output("docker", &["info", "--format", "{{.SecurityOptions}}"], COMMAND_TIMEOUT).await?;
        let same_user = geteuid().is_root() || security.contains("name=rootless");
        Some(if same_user { Self::Docker } else { Self::DockerOfRoot })
    }

    /// The program to run.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker | Self::DockerOfRoot => "docker",
        }
    }

    /// Whom commands have to run as so that what they write belongs to the runner's user, unless that is so anyway.
    pub(super) fn user(self) -> Option<String> {
        match self {
            Self::Podman | Self::Docker => None,
            Self::DockerOfRoot => Some(format!("{}:{}", geteuid().as_raw(), getegid().as_raw())),
        }
    }

    /// Removes the containers that work in a workspace: those of one attempt, and not of a later one that may run on
    /// this machine by now. They are not children of the job's processes, so killing those leaves them running.
    pub(super) async fn remove_containers_in(self, workspace: &Path) {
        if self.try_remove_containers_in(workspace).await.is_none() {
            tracing::warn!(workspace = %workspace.display(), "containers of a job may be left over");
        }
    }

    async fn try_remove_containers_in(self, workspace: &Path) -> Option<()> {
        let labelled = format!("label={}", label_of_workspace(workspace));
        let list = ["ps", "--all", "--quiet", "--filter", &labelled];
        let listed = output(self.program(), &list, COMMAND_TIMEOUT).await?;
        let containers: Vec<&str> = listed.split_whitespace().collect();
        if !containers.is_empty() {
            output(self.program(), &[&["rm", "--force"], &*containers].concat(), COMMAND_TIMEOUT).await?;
        }
        Some(())
    }
}

/// What a command prints, if it succeeds within `longest`.
async fn output(program: &str, arguments: &[&str], longest: Duration) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(longest, output).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The label that tells people which job a container belongs to.
pub(super) fn label(job_id: JobId) -> String {
    format!("rivet.job_id={job_id}")
}

/// The label by which the containers are found that work in a workspace.
pub(super) fn label_of_workspace(workspace: &Path) -> String {
    format!("rivet.workspace={}", workspace.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_hangs_is_given_up() {
        assert_eq!(output("sleep", &["600"], Duration::from_millis(1)).await, None);
        assert_eq!(output("echo", &["x"], COMMAND_TIMEOUT).await.as_deref(), Some("x\n"));
    }
}
