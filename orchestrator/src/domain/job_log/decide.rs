//! The rules of a job's log: every entry is stored once and in order, whatever is sent again.

use rivet_events::job_log::{JobLogAppended, JobLogEvent};

use super::command::{AppendLog, JobLogCommand};
use super::state::JobLogState;

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JobLogError {
    /// The batch begins beyond the stored entries: some are missing in between.
    #[error("the batch begins beyond the {acknowledged} entries stored of this attempt")]
    Gap {
        /// Number of entries stored of the attempt: the offset at which the sender has to continue.
        acknowledged: u64,
    },
    /// The batch belongs to an attempt before the last one that has written.
    #[error("a later attempt has written since")]
    AttemptOver,
}

/// Decides a command: returns the events to record, or why it is refused. No events means that all of the batch is
/// stored.
pub(super) fn decide(state: &JobLogState, command: JobLogCommand) -> Result<Vec<JobLogEvent>, JobLogError> {
    match command {
        JobLogCommand::Append(append) => decide_append(state, append),
    }
}

fn decide_append(state: &JobLogState, append: AppendLog) -> Result<Vec<JobLogEvent>, JobLogError> {
    if append.attempt < state.attempt {
        return Err(JobLogError::AttemptOver);
    }
    let acknowledged = state.acknowledged(append.attempt);
    let known = match append.offset {
        Some(offset) if offset > acknowledged => return Err(JobLogError::Gap { acknowledged }),
        Some(offset) => usize::try_from(acknowledged - offset).unwrap_or(usize::MAX),
        None => {
            let repeated = state
                .recent
                .iter()
                .any(|(attempt, digest)| *attempt == append.attempt && *digest == append.digest);
            if repeated { append.entries.len() } else { 0 }
        }
    };
    if known >= append.entries.len() {
        return Ok(vec![]);
    }
    Ok(vec![JobLogEvent::Appended(JobLogAppended {
        job_id: append.job_id,
        pipeline_id: append.pipeline_id,
        attempt: append.attempt,
        offset: acknowledged,
        first_index: state.total + 1,
        entries: if known == 0 { append.entries } else { append.entries.after(known) },
        digest: append.digest,
        appended_at: append.now,
    })])
}
