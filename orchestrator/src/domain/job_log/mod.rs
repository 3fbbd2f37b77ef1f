//! A job's log: batches of entries, in order of arrival over all attempts.
//!
//! The log has a stream of its own, so that the job's stream stays short. The job decides whether a sender may write
//! at all; the log decides what in a batch is new.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use rivet_events::StreamType;
use rivet_events::job_log::JobLogEvent;

use crate::domain::Decider;

pub(crate) use command::{AppendLog, JobLogCommand};
pub(crate) use decide::JobLogError;
pub(crate) use state::{JobLogState, REMEMBERED_BATCHES};

impl Decider for JobLogState {
    const KIND: StreamType = StreamType::JobLog;
    type Command = JobLogCommand;
    type Event = JobLogEvent;
    type Error = JobLogError;

    fn decide(&self, command: JobLogCommand) -> Result<Vec<JobLogEvent>, JobLogError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: JobLogEvent) -> Self {
        state::evolve(self, event)
    }
}
