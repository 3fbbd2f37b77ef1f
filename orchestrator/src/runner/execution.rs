//! What a runner gets with a claim, and what it reports at the end of the job.

use std::collections::BTreeMap;

use rivet_events::id::{JobId, LeaseId, PipelineId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The exit code of a job that was cancelled, as a shell reports an interrupted command.
const CANCELLED_EXIT_CODE: i32 = 130;

/// The answer to a claim: all that a runner needs to run one attempt of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobExecution {
    /// The job.
    pub(super) job_id: JobId,
    /// Its pipeline.
    pub(super) pipeline_id: PipelineId,
    /// The Lua text of the pipeline's version that the job was launched with.
    pub(super) pipeline_source: String,
    /// Inputs by name, checked and completed by the server.
    pub(super) parameters: Map<String, Value>,
    /// Fencing token of the attempt; absent from a server without leases.
    #[serde(default)]
    pub(super) lease_id: Option<LeaseId>,
    /// Which attempt of the job this is: 1, 2, …
    #[serde(default = "first_attempt")]
    pub(super) attempt: u32,
    /// Environment variables of the pipeline's stored configuration, those of its script among them; absent from a
    /// server that leaves it to the runner to take them from the script.
    #[serde(default)]
    pub(super) env_vars: Option<BTreeMap<String, String>>,
}

fn first_attempt() -> u32 {
    1
}

/// How a job ended, as it is sent to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct JobResult {
    /// Whether every stage ran to its end.
    pub(super) success: bool,
    /// 0, or the exit code of the command that failed the job, or 1.
    pub(super) exit_code: i32,
    /// What the stages returned, by stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Value>,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error_message: Option<String>,
}

/// The body of the report that ends a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Completion {
    status: &'static str,
    result: JobResult,
}

impl JobResult {
    /// A job that did what it should.
    pub(super) fn succeeded(output: Option<Value>) -> Self {
        Self { success: true, exit_code: 0, output, error_message: None }
    }

    /// A job that failed, and why.
    pub(super) fn failed(exit_code: i32, error_message: impl Into<String>) -> Self {
        Self { success: false, exit_code, output: None, error_message: Some(error_message.into()) }
    }
}

impl Completion {
    /// The report of a job that ended by itself.
    pub(super) fn of(result: JobResult) -> Self {
        let status = if result.success { "Succeeded" } else { "Failed" };
        Self { status, result }
    }

    /// The report of a job that was told to stop: cancelled, unless it succeeded before it could be stopped.
    pub(super) fn of_cancelled(result: Option<JobResult>) -> Self {
        match result {
            Some(result) if result.success => Self::of(result),
            Some(_) | None => Self {
                status: "Cancelled",
                result: JobResult::failed(CANCELLED_EXIT_CODE, "cancelled on request"),
            },
        }
    }

    /// The reported status.
    pub(super) fn status(&self) -> &'static str {
        self.status
    }

    /// Why it failed, for people.
    pub(super) fn error_message(&self) -> Option<&str> {
        self.result.error_message.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_server_without_leases_is_understood() {
        let text = r#"{"job_id":"018f0000-0000-7000-8000-000000000001","pipeline_id":"018f0000-0000-7000-8000-000000000002",
            "pipeline_source":"return {}","parameters":{}}"#;
        let execution: JobExecution = serde_json::from_str(text).unwrap();
        assert_eq!((execution.lease_id, execution.attempt), (None, 1));
    }

    #[test]
    fn a_success_outruns_its_cancellation() {
        assert_eq!(Completion::of_cancelled(Some(JobResult::succeeded(None))).status, "Succeeded");
        assert_eq!(Completion::of_cancelled(Some(JobResult::failed(1, "stopped"))).status, "Cancelled");
        assert_eq!(Completion::of_cancelled(None).result.exit_code, 130);
    }
}
