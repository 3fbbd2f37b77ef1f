//! The program that runs containers on this machine: podman or docker, whichever answers first.

use std::process::{Command, Stdio};

use rivet_events::id::JobId;
use serde::{Deserialize, Serialize};

/// A container engine that works, by the name of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Engine {
    /// `podman`.
    Podman,
    /// `docker`.
    Docker,
}

impl Engine {
    /// Finds the engine of this machine. One whose daemon does not answer does not count.
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

    /// Removes the containers of a job. They are no children of the job's processes, so that killing those is not
    /// enough.
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
