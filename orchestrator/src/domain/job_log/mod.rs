//! A job's log: batches of entries, in order of arrival over all attempts.
//!
//! The log has a stream of its own, so that the job's stream stays short. The job decides whether a sender may write
//! at all; the log decides what in a batch is new.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::job_log::JobLogEvent;
use serde::{Deserialize, Serialize};

pub use command::{AppendLog, JobLogCommand};
pub use decide::JobLogError;
pub use state::JobLogState;

/// The aggregate behind a job log's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobLog {
    /// Its state, folded from its events.
    pub state: JobLogState,
}

impl Aggregate for JobLog {
    const TYPE: &'static str = StreamType::JobLog.as_str();
    type Command = JobLogCommand;
    type Event = JobLogEvent;
    type Error = JobLogError;
    type Services = ();

    async fn handle(
        &mut self,
        command: JobLogCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), JobLogError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: JobLogEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
