//! Notes the contacts of runners: each one in memory, where it renews the runner's leases, and in the log only what
//! its readers need.

use std::sync::Arc;
use std::time::Duration;

use rivet_events::Metadata;
use rivet_events::id::RunnerId;

use crate::clock::Clock;
use crate::commands::{CommandError, Committed, Executor};
use crate::domain::job::JobState;
use crate::domain::runner::{RecordHeartbeat, RunnerCommand, RunnerError, RunnerState};
use crate::liveness::Liveness;
use crate::telemetry::chain;

/// What a runner makes contact with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Contact {
    /// A heartbeat, a claim or a report: in the log once in the heartbeat resolution.
    Work,
    /// A question for work. Idle runners ask all day, so it is in the log only if the runner is new or was lost.
    Poll,
}

/// Notes the contacts of runners.
pub(crate) struct RunnerContacts {
    pub(crate) runners: Executor<RunnerState>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) heartbeat_resolution: Duration,
}

impl RunnerContacts {
    /// Notes a contact. This registers a runner that never registered. Returns the outcome of the command, if the log
    /// had to be asked.
    pub(super) async fn note(
        &self,
        contact: Contact,
        runner_id: &RunnerId,
        metadata: &Metadata,
    ) -> Result<Option<Committed<RunnerState>>, CommandError<RunnerError>> {
        let resolution = match contact {
            Contact::Work => self.heartbeat_resolution,
            // However old the last one in the log is.
            Contact::Poll => Duration::MAX,
        };
        let now = self.clock.now();
        if !self.liveness.touch(runner_id, now, resolution) {
            return Ok(None);
        }
        let heartbeat = RecordHeartbeat { runner_id: runner_id.clone(), resolution, now };
        let committed =
            self.runners.execute(runner_id, RunnerCommand::Heartbeat(heartbeat), metadata).await?;
        if let RunnerState::Registered(runner) = &*committed.state {
            self.liveness.recorded(runner_id, runner.heard_at, committed.version);
        }
        Ok(Some(committed))
    }

    /// As [`Self::note`], but a failure to record it is only logged: it is in memory in any case.
    pub(super) async fn note_or_warn(&self, contact: Contact, runner_id: &RunnerId, metadata: &Metadata) {
        if let Err(error) = self.note(contact, runner_id, metadata).await {
            tracing::warn!(runner.id = %runner_id, error = %chain(&error), "a sign of life is not recorded");
        }
    }

    /// Notes a contact of the holder of a job, after a write in its name was accepted. The write stays accepted, whether
    /// or not this can be recorded.
    pub(super) async fn note_holder(&self, job: &JobState, metadata: &Metadata) {
        if let JobState::Running(running) = job {
            self.note_or_warn(Contact::Work, &running.holder.runner_id, metadata).await;
        }
    }
}
