//! The bodies of answers about jobs. Rows of read models and events are converted into these here, so that neither is
//! part of the API.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{JobLaunched, JobResult, JobStatus};
use rivet_events::job_log::LogEntry;
use rivet_projections::job_logs::NumberedEntry;
use rivet_projections::jobs::{self, JobPhase};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::waiting::Waiting;

/// A job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a21390-df33-760a-b038-1135a443c6dd",
    "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
    "pipeline_version": 1,
    "status": "Running",
    "phase": "started",
    "requested_at": "2026-01-31T12:00:00Z",
    "started_at": "2026-01-31T12:00:01Z",
    "completed_at": null,
    "runner_id": "build-1",
    "parameters": {"who": "world"},
    "result": null,
    "attempt": 1,
    "priority": 5,
    "retry_of": null,
    "reason": null,
}))]
pub(in crate::http) struct Job {
    id: JobId,
    pipeline_id: PipelineId,
    pipeline_version: u32,
    status: JobStatus,
    phase: JobPhase,
    requested_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    runner_id: Option<RunnerId>,
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    result: Option<JobResult>,
    attempt: u32,
    priority: u8,
    retry_of: Option<JobId>,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
}

impl Job {
    /// The job, with what it waits for.
    pub(in crate::http) fn with_waiting(self, waiting: Option<Waiting>) -> Self {
        Self { waiting, ..self }
    }

    /// From the read model.
    pub(in crate::http) fn from_row(row: jobs::Job, now: DateTime<Utc>) -> Self {
        let due = row.due_at.is_none_or(|due| due <= now);
        let phase = if row.phase == JobPhase::Backoff && due { JobPhase::Queued } else { row.phase };
        Self {
            id: row.id,
            pipeline_id: row.pipeline_id,
            pipeline_version: row.pipeline_version,
            status: row.status,
            phase,
            requested_at: row.requested_at,
            started_at: row.claimed_at,
            completed_at: row.completed_at,
            runner_id: row.runner_id,
            parameters: row.parameters,
            result: row.result,
            attempt: row.attempt,
            priority: row.priority,
            retry_of: row.retry_of,
            reason: row.reason,
            waiting: None,
        }
    }

    /// A job that was just launched.
    pub(in crate::http) fn launched(launch: &JobLaunched) -> Self {
        Self {
            id: launch.job_id,
            pipeline_id: launch.pipeline_id,
            pipeline_version: launch.pipeline_version,
            status: JobStatus::Queued,
            phase: JobPhase::Queued,
            requested_at: launch.requested_at,
            started_at: None,
            completed_at: None,
            runner_id: None,
            parameters: launch.parameters.clone(),
            result: None,
            attempt: 0,
            priority: launch.priority,
            retry_of: launch.retry_of,
            reason: None,
            waiting: None,
        }
    }
}

/// What a runner needs to run the job that it has claimed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "job_id": "01a21390-df33-760a-b038-1135a443c6dd",
    "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
    "pipeline_source": "return { name = 'hello', stages = { { name = 'greet', script = function() log.info('Hello') end } } }",
    "parameters": {"who": "world"},
    "env_vars": {},
    "lease_id": "01a21390-e111-7000-8000-0123456789ab",
    "attempt": 1,
}))]
pub(in crate::http) struct JobExecutionInfo {
    pub(in crate::http) job_id: JobId,
    pub(in crate::http) pipeline_id: PipelineId,
    pub(in crate::http) pipeline_source: String,
    #[schema(value_type = Object)]
    pub(in crate::http) parameters: Map<String, Value>,
    pub(in crate::http) env_vars: BTreeMap<String, String>,
    pub(in crate::http) lease_id: LeaseId,
    pub(in crate::http) attempt: u32,
}

/// An entry of a job's log, with its attempt and its index.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"index": 1, "attempt": 1, "timestamp": "2026-01-31T12:00:00Z", "level": "Info", "message": "Hello, world"}))]
pub(in crate::http) struct NumberedLogEntry {
    index: u64,
    attempt: u32,
    #[serde(flatten)]
    entry: LogEntry,
}

impl From<NumberedEntry> for NumberedLogEntry {
    fn from(numbered: NumberedEntry) -> Self {
        Self { index: numbered.index, attempt: numbered.attempt, entry: numbered.entry }
    }
}
