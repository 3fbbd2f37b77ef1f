//! The rules of a job's log: every entry once, in order, whatever is sent again.

use rivet_events::job_log::{JobLogAppended, JobLogEvent};

use super::command::{AppendLog, JobLogCommand};
use super::state::JobLogState;

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobLogError {
    /// It begins after the end of what is stored: something is missing in between.
    #[error("the batch begins beyond the {acknowledged} entries stored of this attempt")]
    Gap {
        /// Entries stored of the attempt: where the sender has to go on.
        acknowledged: u64,
    },
    /// It is of an attempt that was followed by another, which has written.
    #[error("a later attempt has written since")]
    AttemptOver,
}

/// The events that a command leads to, or why it is refused. None means that all of the batch is stored.
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
