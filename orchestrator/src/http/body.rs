//! The bodies of answers, as clients know them. Rows of read models and states of aggregates are converted into these
//! here, so that neither is part of the API.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId, WebhookId};
use rivet_events::job::{JobLaunched, JobResult, JobStatus};
use rivet_events::job_log::LogEntry;
use rivet_events::pipeline::{InputSpec, PipelineConfig, PipelineDefinition, Tag};
use rivet_events::webhook::PauseCause;
use rivet_projections::job_logs::NumberedEntry;
use rivet_projections::jobs::{self, JobPhase};
use rivet_projections::pipelines;
use rivet_projections::runners::{self, RunnerStatus};
use rivet_projections::webhooks::{self, WebhookStatus};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::jobs::waiting::Waiting;
use crate::domain::pipeline::{PipelineState, Revision};

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
pub(super) struct Job {
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
    pub(super) fn with_waiting(self, waiting: Option<Waiting>) -> Self {
        Self { waiting, ..self }
    }

    /// From the read model.
    pub(super) fn from_row(row: jobs::Job, now: DateTime<Utc>) -> Self {
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
    pub(super) fn launched(launch: &JobLaunched) -> Self {
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
pub(super) struct JobExecutionInfo {
    pub(super) job_id: JobId,
    pub(super) pipeline_id: PipelineId,
    pub(super) pipeline_source: String,
    #[schema(value_type = Object)]
    pub(super) parameters: Map<String, Value>,
    pub(super) env_vars: BTreeMap<String, String>,
    pub(super) lease_id: LeaseId,
    pub(super) attempt: u32,
}

/// A runner.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "build-1",
    "capabilities": ["docker", "os=linux"],
    "capability_count": 2,
    "unrestricted": false,
    "registered_at": "2026-01-31T12:00:00Z",
    "last_heartbeat_at": "2026-01-31T12:00:00Z",
    "status": "Online",
}))]
pub(super) struct Runner {
    id: RunnerId,
    capabilities: Vec<String>,
    capability_count: usize,
    /// Whether it may take every job, since it never told its capabilities.
    unrestricted: bool,
    registered_at: DateTime<Utc>,
    last_heartbeat_at: DateTime<Utc>,
    status: RunnerStatus,
}

impl Runner {
    /// From the read model; `last_contact` is what memory knows, which may be later.
    pub(super) fn from_row(row: runners::Runner, last_contact: Option<DateTime<Utc>>) -> Self {
        let registered_at = row.registered_at.unwrap_or_default();
        let recorded = row.last_heartbeat_at.unwrap_or(registered_at);
        let unrestricted = row.capabilities.is_none();
        let capabilities = row.capabilities.unwrap_or_default();
        Self {
            id: row.id,
            capability_count: capabilities.len(),
            capabilities,
            unrestricted,
            registered_at,
            last_heartbeat_at: last_contact.map_or(recorded, |contact| contact.max(recorded)),
            status: row.status,
        }
    }
}

/// A pipeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a21390-aaaa-7bcd-8000-0123456789ab",
    "version": 1,
    "name": "hello",
    "description": null,
    "script": "return { name = 'hello', stages = { { name = 'greet', script = function() log.info('Hello') end } } }",
    "required_modules": [],
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
    "tags": [],
    "config": {"timeout_seconds": null, "max_retries": 0, "env_vars": {}},
    "demands": [],
    "inputs": {},
}))]
pub(super) struct Pipeline {
    id: PipelineId,
    pub(super) version: u32,
    name: String,
    description: Option<String>,
    script: String,
    required_modules: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    tags: Vec<Tag>,
    config: PipelineConfig,
    demands: Vec<String>,
    inputs: BTreeMap<String, InputSpec>,
}

impl Pipeline {
    /// From the read model.
    pub(super) fn from_row(row: pipelines::Pipeline) -> Self {
        Self::new(row.id, row.version, row.definition, row.created_at, row.updated_at)
    }

    /// From the aggregate; `None` for a pipeline that never existed or was deleted.
    pub(super) fn from_state(state: &PipelineState) -> Option<Self> {
        let Revision { pipeline_id, version, definition, created_at, revised_at } = state.current()?;
        let definition = PipelineDefinition::clone(definition);
        Some(Self::new(*pipeline_id, *version, definition, *created_at, *revised_at))
    }

    fn new(
        id: PipelineId,
        version: u32,
        definition: PipelineDefinition,
        created_at: DateTime<Utc>,
        updated_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            version,
            name: definition.name,
            description: definition.description,
            script: definition.script,
            required_modules: definition.required_modules,
            created_at,
            updated_at,
            tags: definition.tags,
            config: definition.config,
            demands: definition.demands,
            inputs: definition.inputs,
        }
    }
}

/// A webhook. Its secret is never returned.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a21390-e555-7000-8000-0123456789ab",
    "url": "https://example.com/hook",
    "types": ["job.completed"],
    "pipeline_id": null,
    "batch_size": null,
    "status": "active",
    "paused": null,
    "created_at": "2026-01-31T12:00:00Z",
    "resumed_at": null,
}))]
pub(super) struct Webhook {
    id: WebhookId,
    url: String,
    types: Vec<String>,
    pipeline_id: Option<PipelineId>,
    batch_size: Option<u32>,
    status: WebhookStatus,
    paused: Option<Pause>,
    created_at: DateTime<Utc>,
    resumed_at: Option<DateTime<Utc>>,
}

/// Why a webhook is paused: the error, and the event whose delivery failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Pause {
    cause: PauseCause,
    error: String,
    position: Position,
    paused_at: DateTime<Utc>,
}

impl From<webhooks::Webhook> for Webhook {
    fn from(row: webhooks::Webhook) -> Self {
        Self {
            id: row.id,
            url: row.url,
            types: row.types,
            pipeline_id: row.pipeline_id,
            batch_size: row.batch_size,
            status: row.status,
            paused: row.paused.map(|paused| Pause {
                cause: paused.cause,
                error: paused.error,
                position: paused.position,
                paused_at: paused.paused_at,
            }),
            created_at: row.created_at,
            resumed_at: row.resumed_at,
        }
    }
}

/// An entry of a job's log, with its attempt and its index.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"index": 1, "attempt": 1, "timestamp": "2026-01-31T12:00:00Z", "level": "Info", "message": "Hello, world"}))]
pub(super) struct NumberedLogEntry {
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
