//! What has come of a job's events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::{LeaseId, RunnerId};
use rivet_events::job::{JobEvent, JobLaunched, JobRequeued, JobResult, JobStatus, RequeueCause};
use serde::{Deserialize, Serialize};

use super::command::Report;

/// A job, by where it stands.
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
    /// Over, for good.
    Ended(Ended),
}

/// A job that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// What was launched.
    pub launch: Arc<JobLaunched>,
    /// What went before.
    pub history: History,
    /// Since when it waits.
    pub queued_at: DateTime<Utc>,
    /// Not to be claimed before.
    pub due_at: DateTime<Utc>,
}

/// A job that a runner holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// What was launched.
    pub launch: Arc<JobLaunched>,
    /// What went before this attempt.
    pub history: History,
    /// Who holds it.
    pub holder: Holder,
    /// Whether it is to stop.
    pub cancel: Option<CancelRequest>,
}

/// A job that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// What was launched.
    pub launch: Arc<JobLaunched>,
    /// What went before, the last attempt included.
    pub history: History,
    /// Who held it at the end, if anybody did.
    pub holder: Option<Holder>,
    /// How it ended.
    pub status: JobStatus,
    /// With what result.
    pub result: Option<JobResult>,
    /// Why, where the server ended it.
    pub reason: Option<String>,
    /// Whether its holder had been asked to stop.
    pub was_to_stop: bool,
    /// When.
    pub ended_at: DateTime<Utc>,
    /// Whether it is to be forgotten.
    pub purged: bool,
}

/// The attempts of a job so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Attempts begun.
    pub attempts: u32,
    /// Retries used up, of the pipeline's `max_retries`.
    pub retries: u32,
    /// Attempts lost in a row, whose holders fenced.
    pub lost_in_a_row: u32,
    /// Whether a holder that cannot be fenced was lost and may come back: only a runner that fences may follow.
    pub needs_fencing: bool,
    /// The attempt that ended last.
    pub last: Option<EndedAttempt>,
    /// Leases that are void.
    pub void_leases: Vec<LeaseId>,
    /// Void leases whose late report was kept.
    pub refused_leases: Vec<LeaseId>,
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedAttempt {
    /// Its lease.
    pub lease_id: LeaseId,
    /// Its number.
    pub attempt: u32,
    /// Whether its holder echoed the lease.
    pub fencing: bool,
    /// What its holder reported, or as good as that, if the job went on after it; by this a repeated report is known.
    pub report: Option<(JobStatus, Option<JobResult>)>,
}

/// The runner that holds a job, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// Its name.
    pub runner_id: RunnerId,
    /// The attempt it makes.
    pub attempt: u32,
    /// Its fencing token.
    pub lease_id: LeaseId,
    /// Whether it echoes the token.
    pub fencing: bool,
    /// What it claimed with.
    pub request_key: Option<String>,
    /// When it claimed.
    pub claimed_at: DateTime<Utc>,
    /// When it gave its first sign of work.
    pub started_at: Option<DateTime<Utc>>,
}

/// A wish that a running job stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// When it was first asked.
    pub requested_at: DateTime<Utc>,
    /// Whether it ends after the grace in any case.
    pub force: bool,
    /// Why.
    pub reason: Option<String>,
}

impl Holder {
    /// Its last sign of life: what the caller knows of, its start, or its claim.
    #[must_use]
    pub fn last_heard(&self, last_contact: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let recorded = self.started_at.map_or(self.claimed_at, |started| started.max(self.claimed_at));
        last_contact.map_or(recorded, |contact| contact.max(recorded))
    }
}

impl Queued {
    /// Whether it may be claimed. Without a backoff it always may: the clock of the server that queued it can be
    /// ahead of the clock of the one that is asked.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due_at <= self.queued_at || self.due_at <= now
    }
}

impl EndedAttempt {
    /// Whether its holder reported just this.
    #[must_use]
    pub fn reported(&self, report: &Report) -> bool {
        self.report
            .as_ref()
            .is_some_and(|(status, result)| *status == report.status && *result == report.result)
    }
}

impl History {
    /// Voids a lease whose holder may still be at work.
    fn void(&mut self, lease_id: LeaseId) {
        if !self.void_leases.contains(&lease_id) {
            self.void_leases.push(lease_id);
        }
    }
}

impl Running {
    /// An event that leaves the job with its holder.
    fn go_on(&mut self, event: JobEvent) {
        match event {
            JobEvent::Started(started) => {
                self.holder.started_at.get_or_insert(started.started_at);
                self.holder.fencing |= started.fencing;
            }
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

    fn requeue(self, requeued: JobRequeued) -> Queued {
        let lost_and_fenced = requeued.cause == RequeueCause::RunnerLost && self.holder.fencing;
        // Without a result, its holder may have said that its time was up, or not have noticed yet.
        let may_be_at_work = match requeued.cause {
            RequeueCause::Failed => false,
            RequeueCause::RunTimeout => requeued.result.is_none(),
            RequeueCause::RunnerLost => true,
        };
        let report = match requeued.cause {
            RequeueCause::Failed => Some((JobStatus::Failed, requeued.result)),
            RequeueCause::RunTimeout => Some((JobStatus::TimedOut, requeued.result)),
            RequeueCause::RunnerLost => None,
        };
        let lease_id = self.holder.lease_id;
        let (launch, mut history) = self.end_attempt(report);
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

    fn end_attempt(self, report: Option<(JobStatus, Option<JobResult>)>) -> (Arc<JobLaunched>, History) {
        let Self { launch, mut history, holder, cancel: _ } = self;
        history.last = Some(EndedAttempt {
            lease_id: holder.lease_id,
            attempt: holder.attempt,
            fencing: holder.fencing,
            report,
        });
        (launch, history)
    }
}

/// The attempt that a log batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAttempt {
    /// Its number.
    pub attempt: u32,
    /// Whether the batch is the first sign of work, which a start has to record.
    pub starts: bool,
}

impl JobState {
    /// The state after one more event. It holds no rules: what was recorded, happened. An event that does not fit
    /// the state changes nothing.
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
            (state, JobEvent::Completed(e)) => state.end(e.status, e.result, e.reason, e.completed_at),
            (state, JobEvent::Cancelled(e)) => {
                state.end(JobStatus::Cancelled, e.result, e.reason, e.cancelled_at)
            }
            (state, JobEvent::TimedOut(e)) => {
                state.end(JobStatus::TimedOut, e.result, Some(e.reason), e.timed_out_at)
            }
            (Self::Ended(ended), JobEvent::Purged(_)) => Self::Ended(Ended { purged: true, ..ended }),
            (mut state, JobEvent::ReportRefused(refused)) => {
                if let Some(history) = state.history_mut() {
                    history.refused_leases.push(refused.lease_id);
                }
                state
            }
            (Self::Running(running), JobEvent::Requeued(requeued)) => Self::Queued(running.requeue(requeued)),
            (Self::Running(mut running), event) => {
                running.go_on(event);
                Self::Running(running)
            }
            (
                state @ (Self::Absent | Self::Queued(_) | Self::Ended(_)),
                JobEvent::Launched(_)
                | JobEvent::Claimed(_)
                | JobEvent::Started(_)
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
        result: Option<JobResult>,
        reason: Option<String>,
        ended_at: DateTime<Utc>,
    ) -> Self {
        let (launch, history, holder, was_to_stop) = match self {
            Self::Queued(queued) => (queued.launch, queued.history, None, false),
            Self::Running(running) => {
                let (holder, was_to_stop) = (running.holder.clone(), running.cancel.is_some());
                let (launch, history) = running.end_attempt(None);
                (launch, history, Some(holder), was_to_stop)
            }
            Self::Absent | Self::Ended(_) => return self,
        };
        Self::Ended(Ended {
            launch,
            history,
            holder,
            status,
            result,
            reason,
            was_to_stop,
            ended_at,
            purged: false,
        })
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
