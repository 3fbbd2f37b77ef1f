//! The container engine of this machine: podman if it works, else docker.

use std::process::{Command, Stdio};

use rivet_events::id::JobId;
use serde::{Deserialize, Serialize};

/// A container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Engine {
    /// `podman`.
    Podman,
    /// `docker`.
    Docker,
}

impl Engine {
    /// Finds a working engine: one whose `info` command succeeds, so that an engine without its daemon does not
    /// count.
    pub(super) fn find() -> Option<Self> {
        [Self::Podman, Self::Docker].into_iter().find(|engine| {
            let mut info = Command::new(engine.program());
            info.arg("info").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            info.status().is_ok_and(|status| status.success())
        })
    }

    /// The program to run.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }

    /// Removes the containers of a job. They are not children of the job's processes, so killing those leaves them
    /// running.
    pub(super) fn remove_containers_of(self, job_id: JobId) {
        let listed = Command::new(self.program())
            .args(["ps", "--all", "--quiet", "--filter", &format!("label={}", label(job_id))])
            .stdin(Stdio::null())
            .output();
        let Ok(listed) = listed else { return };
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let containers: Vec<&str> = listed.split_whitespace().collect();
        if containers.is_empty() {
            return;
        }
        let removed = Command::new(self.program()).args(["rm", "--force"]).args(&containers).output();
        if !removed.is_ok_and(|output| output.status.success()) {
            tracing::warn!(%job_id, ?containers, "containers of the job are left over");
        }
    }
}

/// The label by which the containers of a job are found.
pub(super) fn label(job_id: JobId) -> String {
    format!("rivet.job_id={job_id}")
}
