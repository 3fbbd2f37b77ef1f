//! What a job wrote: one event a batch, in a stream of its own, so that a job's own stream stays short.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{JobId, PipelineId};

/// A fact about one job's log. Stream: `job_log/{job_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "the variant is documented at its payload")]
pub enum JobLogEvent {
    #[serde(rename = "job_log.appended")]
    Appended(JobLogAppended),
}

/// A batch of entries was stored, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLogAppended {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The attempt that wrote the batch: 1, 2, …
    pub attempt: u32,
    /// Entries of this attempt stored before this batch.
    pub offset: u64,
    /// Index of the first entry over all attempts of the job: 1, 2, …
    pub first_index: u64,
    /// The lines, at least one.
    pub entries: Vec<LogEntry>,
    /// Digest of the batch as it was sent, by which a replay without an offset is recognised.
    pub digest: String,
    /// When.
    pub appended_at: DateTime<Utc>,
}

/// One entry of a job's log; its message may be the whole output of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogEntry {
    /// By the runner's clock.
    pub timestamp: DateTime<Utc>,
    /// How bad it is.
    pub level: LogLevel,
    /// The text, without NUL.
    pub message: String,
}

/// Severity of a [`LogEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}
