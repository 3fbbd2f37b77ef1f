//! Notes the contacts of runners: each one in memory, where it renews the runner's leases, and in the log only what
//! its readers need.

use std::time::Duration;

use rivet_events::Metadata;
use rivet_events::id::{LeaseId, RunnerId};

use super::state::AppState;
use crate::commands::{CommandError, Committed, Loaded};
use crate::domain::job::JobState;
use crate::domain::runner::{RecordHeartbeat, RunnerCommand, RunnerError, RunnerState};
use crate::telemetry::chain;

/// What a runner makes contact with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Contact {
    /// A heartbeat, a claim or a report: in the log once in the heartbeat resolution.
    Work,
    /// A question for work. Idle runners ask all day, so it is in the log only if the runner is new or was lost.
    Poll,
}

impl AppState {
    /// Notes a contact. This registers a runner that never registered. Returns the outcome of the command, if the log
    /// had to be asked.
    pub(super) async fn note_contact(
        &self,
        contact: Contact,
        runner_id: &RunnerId,
        metadata: &Metadata,
    ) -> Result<Option<Committed<RunnerState>>, CommandError<RunnerError>> {
        let resolution = match contact {
            Contact::Work => self.config.leases.heartbeat_resolution,
            // However old the last one in the log is.
            Contact::Poll => Duration::MAX,
        };
        let now = self.clock.now();
        if !self.liveness.touch(runner_id, now, resolution) {
            return Ok(None);
        }
        let heartbeat = RecordHeartbeat { runner_id: runner_id.clone(), resolution, now };
        let heartbeat = RunnerCommand::Heartbeat(heartbeat);
        let committed = self.commands.runners.execute(runner_id, heartbeat, metadata).await?;
        if let RunnerState::Registered(runner) = &*committed.state {
            self.liveness.recorded(runner_id, runner.heard_at, committed.version);
        }
        Ok(Some(committed))
    }

    /// As [`Self::note_contact`], but a failure to record it is only logged: it is in memory in any case.
    pub(super) async fn note_contact_or_warn(
        &self,
        contact: Contact,
        runner_id: &RunnerId,
        metadata: &Metadata,
    ) {
        if let Err(error) = self.note_contact(contact, runner_id, metadata).await {
            tracing::warn!(runner.id = %runner_id, error = %chain(&error), "a sign of life is not recorded");
        }
    }

    /// Notes a contact of the holder of a job, after a write in its name was accepted. The write stays accepted, whether
    /// or not this can be recorded.
    pub(super) async fn note_holder(&self, job: &JobState, metadata: &Metadata) {
        if let JobState::Running(running) = job {
            self.note_contact_or_warn(Contact::Work, &running.holder.runner_id, metadata).await;
        }
    }

    /// Notes, in memory, a contact of the holder of a job, after a write in its name was not accepted: a server that
    /// cannot record what a runner says has heard it all the same. A sender whose lease is not that of the job is not
    /// its holder, nor is one whose job has moved on meanwhile, as far as the log can be read.
    pub(super) async fn hear_holder(&self, job: &Loaded<JobState>, lease: Option<LeaseId>) {
        let now = self.clock.now();
        if let JobState::Running(running) = &*job.state
            && job.state.log_attempt(lease, now, self.config.archive.retention.log_grace).is_ok()
            && self.commands.jobs.is_current(job).await.unwrap_or(true)
        {
            self.liveness.touch(&running.holder.runner_id, now, Duration::MAX);
        }
    }
}
