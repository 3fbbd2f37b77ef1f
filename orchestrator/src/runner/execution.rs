//! What a runner gets with a claim, and what it reports at the end of the job.

use std::collections::BTreeMap;

use rivet_events::id::{JobId, LeaseId, PipelineId};
use rivet_events::job::{JobResult, JobStatus};
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

/// The body of the report that ends a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Completion {
    status: JobStatus,
    result: JobResult,
}

/// The result of a job that did what it should, with what its stages returned, by stage.
pub(super) fn succeeded(output: Option<Value>) -> JobResult {
    JobResult { success: true, exit_code: 0, output, error_message: None }
}

/// The result of a job that failed, and why. The exit code is that of the command that failed it, or 1.
pub(super) fn failed(exit_code: i32, error_message: impl Into<String>) -> JobResult {
    JobResult { success: false, exit_code, output: None, error_message: Some(error_message.into()) }
}

impl Completion {
    /// The report of a job that ended by itself.
    pub(super) fn of(result: JobResult) -> Self {
        let status = if result.success { JobStatus::Succeeded } else { JobStatus::Failed };
        Self { status, result }
    }

    /// The report of a job that was told to stop: cancelled, unless it succeeded before it could be stopped.
    pub(super) fn of_cancelled(result: Option<JobResult>) -> Self {
        match result {
            Some(result) if result.success => Self::of(result),
            Some(_) | None => Self {
                status: JobStatus::Cancelled,
                result: failed(CANCELLED_EXIT_CODE, "cancelled on request"),
            },
        }
    }

    /// The report with a note that the server has only a part of the log, if it refused the rest.
    pub(super) fn with_refused_log(mut self, refusal: Option<String>) -> Self {
        if let Some(refusal) = refusal {
            let why = self.result.error_message.take().into_iter();
            let messages = why.chain([format!("the log is incomplete: {refusal}")]);
            self.result.error_message = Some(messages.collect::<Vec<_>>().join("; "));
        }
        self
    }

    /// The reported status.
    pub(super) fn status(&self) -> JobStatus {
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
        assert_eq!(Completion::of_cancelled(Some(succeeded(None))).status, JobStatus::Succeeded);
        assert_eq!(Completion::of_cancelled(Some(failed(1, "stopped"))).status, JobStatus::Cancelled);
        assert_eq!(Completion::of_cancelled(None).result.exit_code, 130);
    }
}
