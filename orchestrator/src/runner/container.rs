//! The container engine of this machine: podman if it works, else docker.

use std::path::Path;
use std::process::{Command, Stdio};

use rivet_events::id::JobId;
use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

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
    pub(super) fn find() -> Option<Self> {
        if output("podman", &["info"]).is_some() {
            return Some(Self::Podman);
        }
        let security = output("docker", &["info", "--format", "{{.SecurityOptions}}"])?;
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

    /// Removes the containers of a job. They are not children of the job's processes, so killing those leaves them
    /// running.
    pub(super) fn remove_containers_of(self, job_id: JobId) {
        self.remove_labelled(&label(job_id));
    }

    /// Removes the containers that work in a workspace: those of one attempt, and not of a later one that may run on
    /// this machine by now.
    pub(super) fn remove_containers_in(self, workspace: &Path) {
        self.remove_labelled(&label_of_workspace(workspace));
    }

    fn remove_labelled(self, label: &str) {
        let labelled = format!("label={label}");
        let Some(listed) = output(self.program(), &["ps", "--all", "--quiet", "--filter", &labelled]) else {
            return;
        };
        let containers: Vec<&str> = listed.split_whitespace().collect();
        if containers.is_empty() {
            return;
        }
        if output(self.program(), &[&["rm", "--force"], &*containers].concat()).is_none() {
            tracing::warn!(label, ?containers, "containers of a job are left over");
        }
    }
}

/// What a command prints, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The label by which the containers of a job are found.
pub(super) fn label(job_id: JobId) -> String {
    format!("rivet.job_id={job_id}")
}

/// The label by which the containers are found that work in a workspace.
pub(super) fn label_of_workspace(workspace: &Path) -> String {
    format!("rivet.workspace={}", workspace.display())
}
