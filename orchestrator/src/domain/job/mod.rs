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
#[cfg(test)]
pub(crate) mod fixture;
mod reported;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::StreamType;
use rivet_events::id::LeaseId;
use rivet_events::job::JobEvent;

use crate::domain::Decider;

pub use command::{
    CancelJob, ClaimJob, CompleteJob, ExpireLease, JobCommand, LaunchJob, LeasePolicy, PurgeJob,
    RefuseReport, Report, Retries, ShowLease, StartJob, TimeOutJob,
};
pub use decide::{JobError, LogAttempt, longest_run};
pub use reported::{Reported, ResultDigest};
pub use state::{CancelRequest, Ended, History, Holder, JobState, PastAttempt, PastClaim, Queued, Running};

impl JobState {
    /// The attempt that a sender may write logs for at `now`, which is until `grace` after the end of the job.
    pub fn log_attempt(
        &self,
        lease: Option<LeaseId>,
        now: DateTime<Utc>,
        grace: Duration,
    ) -> Result<LogAttempt, JobError> {
        decide::log_attempt(self, lease, now, grace)
    }
}

impl Decider for JobState {
    const KIND: StreamType = StreamType::Job;
    type Command = JobCommand;
    type Event = JobEvent;
    type Error = JobError;

    fn decide(&self, command: JobCommand) -> Result<Vec<JobEvent>, JobError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: JobEvent) -> Self {
        state::evolve(self, event)
    }

    fn weight(&self) -> usize {
        state::weight(self)
    }
}
