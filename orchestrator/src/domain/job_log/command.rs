//! The commands to a job's log.

use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::job_log::LogEntries;

/// A command to one job's log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JobLogCommand {
    Append(AppendLog),
}

command_names! {
    JobLogCommand {
        Append => "append",
    }
}

/// Store a batch, or the part of it that is new.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AppendLog {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The attempt that wrote the batch.
    pub attempt: u32,
    /// Number of entries of the attempt before this batch, as the sender counts them; `None` if it does not count.
    pub offset: Option<u64>,
    /// The batch.
    pub entries: LogEntries,
    /// Digest of the batch, by which a repeated batch without an offset is recognised.
    pub digest: String,
    /// Time of the command.
    pub now: DateTime<Utc>,
}
