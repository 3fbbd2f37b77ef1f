//! The state of a job, folded from its events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::{LeaseId, RunnerId};
use rivet_events::job::{JobEvent, JobLaunched, JobRequeued, JobResult, JobStatus, RequeueCause};
use serde::{Deserialize, Serialize};

use super::reported::{Reported, ResultDigest};

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
    /// Whether only a runner that fences may claim the next attempt, since a holder that does not was lost, or ran too
    /// long, and may come back.
    pub needs_fencing: bool,
    /// The attempt that ended last.
    pub last: Option<EndedAttempt>,
    /// The leases of all attempts that have ended.
    pub past_leases: Vec<LeaseId>,
    /// The claims of attempts that have ended, where they had an idempotency key.
    pub past_claims: Vec<PastClaim>,
    /// Leases that have been revoked while their holders may still be at work.
    pub void_leases: Vec<LeaseId>,
    /// Past leases of which a refused report has been recorded.
    pub refused_leases: Vec<LeaseId>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedAttempt {
    /// Its lease.
    pub lease_id: LeaseId,
    /// Its number.
    pub attempt: u32,
    /// Whether its holder echoed the lease.
    pub fencing: bool,
    /// What its holder reported, if the job went on after it: by this a repeated report is recognised. An attempt
    /// that ran too long counts as reported as timed out.
    pub reported: Option<Reported>,
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

impl Holder {
    /// Its last sign of life: the latest of its claim, its start, and the last contact that the caller knows of.
    #[must_use]
    pub fn last_heard(&self, last_contact: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let recorded = self.started_at.map_or(self.claimed_at, |started| started.max(self.claimed_at));
        last_contact.map_or(recorded, |contact| contact.max(recorded))
    }
}

impl Queued {
    /// Whether it may be claimed by time. Without a backoff it always may, even if the clock of the server that
    /// queued it is ahead of this one's.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due_at <= self.queued_at || self.due_at <= now
    }
}

impl History {
    /// Revokes a lease whose holder may still be at work.
    fn void(&mut self, lease_id: LeaseId) {
        if !self.void_leases.contains(&lease_id) {
            self.void_leases.push(lease_id);
        }
    }
}

impl Running {
    /// Applies an event after which the holder still has the job. Others are handled in [`JobState::evolve`].
    fn apply(&mut self, event: JobEvent) {
        match event {
            JobEvent::Started(started) => {
                self.holder.started_at.get_or_insert(started.started_at);
                self.holder.fencing |= started.fencing;
            }
            JobEvent::LeaseShown(_) => self.holder.fencing = true,
            JobEvent::LeaseExpired(expired) => self.history.void_leases.push(expired.lease_id),
            JobEvent::CancelRequested(asked) => {
                let first = self.cancel.as_ref().map_or(asked.requested_at, |earlier| earlier.requested_at);
                self.cancel =
                    Some(CancelRequest { requested_at: first, force: asked.force, reason: asked.reason });
            }
            JobEvent::Launched(_)
            | JobEvent::Claimed(_)
            | JobEvent::Requeued(_)
            | JobEvent::ReportRefused(_)
            | JobEvent::Completed(_)
            | JobEvent::Cancelled(_)
            | JobEvent::TimedOut(_)
            | JobEvent::Purged(_) => {}
        }
    }

    fn requeue(self, requeued: &JobRequeued) -> Queued {
        let lost_and_fenced = requeued.cause == RequeueCause::RunnerLost && self.holder.fencing;
        // After a run timeout without a result, either the holder has reported the timeout itself, or it does not
        // know of it and is still at work.
        let may_be_at_work = match requeued.cause {
            RequeueCause::Failed => false,
            RequeueCause::RunTimeout => requeued.result.is_none(),
            RequeueCause::RunnerLost => true,
        };
        let status = match requeued.cause {
            RequeueCause::Failed => Some(JobStatus::Failed),
            RequeueCause::RunTimeout => Some(JobStatus::TimedOut),
            RequeueCause::RunnerLost => None,
        };
        let result = ResultDigest::of(requeued.result.as_ref());
        let reported = status.map(|status| Reported { status, result });
        let lease_id = self.holder.lease_id;
        let (launch, mut history) = self.end_attempt(reported);
        if may_be_at_work {
            history.void(lease_id);
        }
        if lost_and_fenced {
            history.lost_in_a_row += 1;
        } else {
            history.retries += 1;
            history.lost_in_a_row = 0;
        }
        history.needs_fencing = requeued.needs_fencing;
        Queued { launch, history, queued_at: requeued.requeued_at, due_at: requeued.due_at }
    }

    fn end_attempt(self, reported: Option<Reported>) -> (Arc<JobLaunched>, History) {
        let Self { launch, mut history, holder, cancel: _ } = self;
        history.past_leases.push(holder.lease_id);
        history.last = Some(EndedAttempt {
            lease_id: holder.lease_id,
            attempt: holder.attempt,
            fencing: holder.fencing,
            reported,
        });
        let Holder { runner_id, request_key, .. } = holder;
        history.past_claims.extend(request_key.map(|key| PastClaim { runner_id, key }));
        (launch, history)
    }
}

/// The attempt that a log batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAttempt {
    /// Its number.
    pub attempt: u32,
    /// Whether the batch is the first sign of work, or the first sign that the holder fences: then that has to be
    /// recorded too, by a start.
    pub is_news: bool,
}

impl JobState {
    /// Applies one event. It checks no rules, since what is recorded has happened. An event that does not fit the
    /// state changes nothing.
    #[must_use]
    pub fn evolve(self, event: JobEvent) -> Self {
        match (self, event) {
            (Self::Absent, JobEvent::Launched(launch)) => Self::Queued(Queued {
                queued_at: launch.requested_at,
                due_at: launch.requested_at,
                launch: Arc::new(launch),
                history: History::default(),
            }),
            (Self::Queued(queued), JobEvent::Claimed(claimed)) => Self::Running(Running {
                launch: queued.launch,
                history: History { attempts: claimed.attempt, ..queued.history },
                holder: Holder {
                    runner_id: claimed.runner_id,
                    attempt: claimed.attempt,
                    lease_id: claimed.lease_id,
                    fencing: claimed.fencing,
                    request_key: claimed.request_key,
                    claimed_at: claimed.claimed_at,
                    started_at: None,
                },
                cancel: None,
            }),
            (state, JobEvent::Completed(e)) => {
                state.end(e.status, e.result.as_ref(), e.reason, e.completed_at)
            }
            (state, JobEvent::Cancelled(e)) => {
                state.end(JobStatus::Cancelled, e.result.as_ref(), e.reason, e.cancelled_at)
            }
            (state, JobEvent::TimedOut(e)) => {
                state.end(JobStatus::TimedOut, e.result.as_ref(), Some(e.reason), e.timed_out_at)
            }
            (Self::Ended(ended), JobEvent::Purged(_)) => Self::Ended(Ended { purged: true, ..ended }),
            (mut state, JobEvent::ReportRefused(refused)) => {
                if let Some(history) = state.history_mut() {
                    history.refused_leases.push(refused.lease_id);
                }
                state
            }
            (Self::Running(running), JobEvent::Requeued(requeued)) => {
                Self::Queued(running.requeue(&requeued))
            }
            (Self::Running(mut running), event) => {
                running.apply(event);
                Self::Running(running)
            }
            (
                state @ (Self::Absent | Self::Queued(_) | Self::Ended(_)),
                JobEvent::Launched(_)
                | JobEvent::Claimed(_)
                | JobEvent::Started(_)
                | JobEvent::LeaseShown(_)
                | JobEvent::LeaseExpired(_)
                | JobEvent::CancelRequested(_)
                | JobEvent::Requeued(_)
                | JobEvent::Purged(_),
            ) => state,
        }
    }

    fn end(
        self,
        status: JobStatus,
        result: Option<&JobResult>,
        reason: Option<String>,
        ended_at: DateTime<Utc>,
    ) -> Self {
        let (launch, history, was_to_stop) = match self {
            Self::Queued(queued) => (queued.launch, queued.history, false),
            Self::Running(running) => {
                let was_to_stop = running.cancel.is_some();
                let (launch, history) = running.end_attempt(None);
                (launch, history, was_to_stop)
            }
            Self::Absent | Self::Ended(_) => return self,
        };
        let result = ResultDigest::of(result);
        Self::Ended(Ended { launch, history, status, result, reason, was_to_stop, ended_at, purged: false })
    }

    fn history_mut(&mut self) -> Option<&mut History> {
        match self {
            Self::Absent => None,
            Self::Queued(queued) => Some(&mut queued.history),
            Self::Running(running) => Some(&mut running.history),
            Self::Ended(ended) => Some(&mut ended.history),
        }
    }

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
}
