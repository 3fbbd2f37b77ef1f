//! The state of a job; `evolve` folds it from its events.

mod evolve;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::{LeaseId, RunnerId};
use rivet_events::job::{JobLaunched, JobStatus, is_due};
use serde::{Deserialize, Serialize};

use super::reported::{Reported, ResultDigest};
use crate::domain::weight::{of_object, of_texts};
pub(super) use evolve::evolve;

/// A job, by the phase that it is in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// Nothing recorded yet.
    #[default]
    Absent,
    /// Waits for a runner.
    Queued(Queued),
    /// Held by a runner.
    Running(Running),
    /// Has ended, for good.
    Ended(Ended),
}

/// A job that waits in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// What was launched.
    pub launch: Arc<JobLaunched>,
    /// The attempts so far.
    pub history: History,
    /// Since when it waits.
    pub queued_at: DateTime<Utc>,
    /// It may not be claimed before this.
    pub due_at: DateTime<Utc>,
}

/// A job that a runner holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// What was launched.
    pub launch: Arc<JobLaunched>,
    /// The attempts before this one; `attempts` counts this one too.
    pub history: History,
    /// Who holds it.
    pub holder: Holder,
    /// The request to cancel it, if there is one.
    pub cancel: Option<CancelRequest>,
}

/// A job that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// What was launched.
    pub launch: Arc<JobLaunched>,
    /// All attempts.
    pub history: History,
    /// How it ended.
    pub status: JobStatus,
    /// The result, if one was reported.
    #[serde(rename = "result_digest")]
    pub result: ResultDigest,
    /// Why, if it was cancelled or timed out, or failed without a report.
    pub reason: Option<String>,
    /// Whether a cancel had been requested while it ran.
    pub was_to_stop: bool,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Whether it is marked as purged: its events and rows are to be deleted.
    pub purged: bool,
}

/// The attempts of a job so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Number of attempts that were claimed.
    pub attempts: u32,
    /// Number of retries used up, of the pipeline's `max_retries`.
    pub retries: u32,
    /// Number of the latest attempts in a row that were lost, all with holders that fence.
    pub lost_in_a_row: u32,
    /// Whether only a runner that fences may claim the next attempt, since a holder that does not was lost and may
    /// come back.
    pub needs_fencing: bool,
    /// The attempts that have ended, in order.
    pub past: Vec<PastAttempt>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Its lease.
    pub lease_id: LeaseId,
    /// Whether its holder echoed the lease.
    pub fencing: bool,
    /// Whether the lease was revoked while its holder may still have been at work.
    pub revoked: bool,
    /// The claim by which it was won, if it had an idempotency key.
    pub claim: Option<PastClaim>,
    /// What its holder reported, if the job went on after it: by this a repeated report is recognised. An attempt
    /// that ran too long counts as reported as timed out.
    pub reported: Option<Reported>,
    /// Whether a refused report of it has been recorded.
    pub was_refused: bool,
}

/// The claim of an attempt that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastClaim {
    /// Who claimed.
    pub runner_id: RunnerId,
    /// The idempotency key of the claim.
    pub key: String,
}

/// The runner that holds a job, with its lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// The runner.
    pub runner_id: RunnerId,
    /// The number of the attempt.
    pub attempt: u32,
    /// Its fencing token.
    pub lease_id: LeaseId,
    /// Whether it fences: echoes the token with what it sends.
    pub fencing: bool,
    /// Idempotency key of its claim.
    pub request_key: Option<String>,
    /// When it claimed.
    pub claimed_at: DateTime<Utc>,
    /// When it gave its first sign of work.
    pub started_at: Option<DateTime<Utc>>,
    /// Whether its lease was revoked while it may still be at work.
    pub revoked: bool,
}

/// A request to stop a running job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// When it was first requested.
    pub requested_at: DateTime<Utc>,
    /// Whether the job ends after the grace even if its holder goes on.
    pub force: bool,
    /// Why.
    pub reason: Option<String>,
}

impl History {
    /// The attempt that ended last.
    #[must_use]
    pub fn last(&self) -> Option<&PastAttempt> {
        self.past.last()
    }
}

impl Holder {
    /// Its last sign of life: the latest of its claim, its start, and the last contact that the caller knows of.
    #[must_use]
    pub fn last_heard(&self, last_contact: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let recorded = self.started_at.map_or(self.claimed_at, |started| started.max(self.claimed_at));
        last_contact.map_or(recorded, |contact| contact.max(recorded))
    }
}

impl Queued {
    /// Whether it may be claimed by time.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        is_due(self.queued_at, self.due_at, now)
    }
}

impl JobState {
    /// What was launched; `None` while nothing was.
    #[must_use]
    pub fn launch(&self) -> Option<&Arc<JobLaunched>> {
        match self {
            Self::Absent => None,
            Self::Queued(queued) => Some(&queued.launch),
            Self::Running(running) => Some(&running.launch),
            Self::Ended(ended) => Some(&ended.launch),
        }
    }

    /// Whether whoever is still at work on it is to stop: a cancel was requested, or the job was cancelled, ran too long
    /// or ended because its holder was lost.
    #[must_use]
    pub fn must_stop(&self) -> bool {
        match self {
            Self::Absent | Self::Queued(_) => false,
            Self::Running(running) => running.cancel.is_some(),
            Self::Ended(ended) => {
                matches!(ended.status, JobStatus::Cancelled | JobStatus::TimedOut)
                    || ended.history.last().is_some_and(|last| last.revoked)
            }
        }
    }
}

/// The size of what was launched, of the claims of past attempts, and of the reason of its cancel or end.
pub(super) fn weight(state: &JobState) -> usize {
    let (launch, history, reason) = match state {
        JobState::Absent => return 0,
        JobState::Queued(queued) => (&queued.launch, &queued.history, None),
        JobState::Running(running) => {
            let reason = running.cancel.as_ref().and_then(|cancel| cancel.reason.as_ref());
            (&running.launch, &running.history, reason)
        }
        JobState::Ended(ended) => (&ended.launch, &ended.history, ended.reason.as_ref()),
    };
    let group = launch.concurrency.as_ref().map(|concurrency| &concurrency.group);
    let claims = history.past.iter().filter_map(|past| past.claim.as_ref());
    let of_claims = claims.map(|claim| claim.runner_id.as_str().len() + claim.key.len());
    of_object(&launch.parameters)
        + of_texts(&launch.demands)
        + of_texts(group.into_iter().chain(reason))
        + of_claims.sum::<usize>()
        + size_of_val(history.past.as_slice())
}
