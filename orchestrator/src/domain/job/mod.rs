//! A job: one launch of a pipeline, from the queue through its attempts to its end.
//!
//! A claim makes a runner the holder of the job, under a lease, which is also its fencing token. The holder fences if
//! it echoes the lease with what it sends; then a stale holder cannot be mistaken for the current one. `Claimed` and
//! `Started` below are one state, [`Running`].
//!
//! ```text
//!            launch          claim            first sign of work
//!  (absent) ───────► Queued ───────► Claimed ───────────────────► Started
//!                     │  ▲              │                            │
//!                     │  └── requeued: lease expired, retry ─────────┤
//!                     ▼                 ▼                            ▼
//!                  Cancelled,        Succeeded, Failed, Cancelled, TimedOut
//!                  TimedOut          (absorbing)
//! ```

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::id::LeaseId;
use rivet_events::job::JobEvent;
use serde::{Deserialize, Serialize};

pub use command::{
    CancelJob, ClaimJob, CompleteJob, ExpireLease, JobCommand, LaunchJob, LeasePolicy, PurgeJob,
    RefuseReport, Report, Retries, ShowLease, StartJob, TimeOutJob,
};
pub use decide::{JobError, longest_run};
pub use state::{CancelRequest, Ended, EndedAttempt, History, Holder, JobState, LogAttempt, Queued, Running};

/// The aggregate behind a job's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Job {
    /// Its state, folded from its events.
    pub state: JobState,
}

impl Job {
    /// The attempt that a sender may write logs for at `now`, which is until `grace` after the end of the job.
    pub fn log_attempt(
        &self,
        lease: Option<LeaseId>,
        now: DateTime<Utc>,
        grace: Duration,
    ) -> Result<LogAttempt, JobError> {
        decide::log_attempt(&self.state, lease, now, grace)
    }
}

impl Aggregate for Job {
    const TYPE: &'static str = StreamType::Job.as_str();
    type Command = JobCommand;
    type Event = JobEvent;
    type Error = JobError;
    type Services = ();

    async fn handle(&mut self, command: JobCommand, (): &(), sink: &EventSink<Self>) -> Result<(), JobError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: JobEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
