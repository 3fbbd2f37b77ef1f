//! How each event of a job changes its state.

use std::sync::Arc;

use rivet_events::job::{Ending, JobEvent, JobLaunched, JobRequeued, JobStatus, RequeueCause};

use super::{CancelRequest, Ended, History, Holder, JobState, PastAttempt, PastClaim, Queued, Running};
use crate::domain::job::reported::{Reported, ResultDigest};

/// Applies one event. It checks no rules, since what is recorded has happened. An event that does not fit the
/// state changes nothing.
pub(in crate::domain::job) fn evolve(state: JobState, event: JobEvent) -> JobState {
    if let Some(ending) = event.ending() {
        return state.end(&ending);
    }
    match (state, event) {
        (JobState::Absent, JobEvent::Launched(launch)) => JobState::Queued(Queued {
            queued_at: launch.requested_at,
            due_at: launch.requested_at,
            launch: Arc::new(launch),
            history: History::default(),
        }),
        (JobState::Queued(queued), JobEvent::Claimed(claimed)) => JobState::Running(Running {
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
                revoked: false,
            },
            cancel: None,
        }),
        (JobState::Ended(ended), JobEvent::Purged(_)) => JobState::Ended(Ended { purged: true, ..ended }),
        (mut state, JobEvent::ReportRefused(refused)) => {
            let mut past = state.history_mut().into_iter().flat_map(|history| &mut history.past);
            if let Some(attempt) = past.find(|past| past.lease_id == refused.lease_id) {
                attempt.was_refused = true;
            }
            state
        }
        (JobState::Running(running), JobEvent::Requeued(requeued)) => {
            JobState::Queued(running.requeue(&requeued))
        }
        (JobState::Running(mut running), event) => {
            running.apply(event);
            JobState::Running(running)
        }
        (
            state @ (JobState::Absent | JobState::Queued(_) | JobState::Ended(_)),
            JobEvent::Launched(_)
            | JobEvent::Claimed(_)
            | JobEvent::Started(_)
            | JobEvent::LeaseShown(_)
            | JobEvent::LeaseExpired(_)
            | JobEvent::CancelRequested(_)
            | JobEvent::Requeued(_)
            | JobEvent::Completed(_)
            | JobEvent::Cancelled(_)
            | JobEvent::TimedOut(_)
            | JobEvent::Purged(_),
        ) => state,
    }
}

impl JobState {
    fn end(self, ending: &Ending<'_>) -> Self {
        let (launch, history, was_to_stop) = match self {
            Self::Queued(queued) => (queued.launch, queued.history, false),
            Self::Running(running) => {
                let was_to_stop = running.cancel.is_some();
                let (launch, history) = running.end_attempt(None);
                (launch, history, was_to_stop)
            }
            Self::Absent | Self::Ended(_) => return self,
        };
        Self::Ended(Ended {
            launch,
            history,
            status: ending.status,
            result: ResultDigest::of(ending.result),
            reason: ending.reason.map(str::to_owned),
            was_to_stop,
            ended_at: ending.at,
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
}

impl Running {
    /// Applies an event after which the holder still has the job. Others are handled in [`evolve`].
    fn apply(&mut self, event: JobEvent) {
        match event {
            JobEvent::Started(started) => {
                self.holder.started_at.get_or_insert(started.started_at);
                self.holder.fencing |= started.fencing;
            }
            JobEvent::LeaseShown(_) => self.holder.fencing = true,
            JobEvent::LeaseExpired(_) => self.holder.revoked = true,
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

    fn requeue(mut self, requeued: &JobRequeued) -> Queued {
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
        self.holder.revoked |= may_be_at_work;
        let (launch, mut history) = self.end_attempt(reported);
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
        let Holder { runner_id, lease_id, fencing, request_key, revoked, .. } = holder;
        let claim = request_key.map(|key| PastClaim { runner_id, key });
        history.past.push(PastAttempt { lease_id, fencing, revoked, claim, reported, was_refused: false });
        (launch, history)
    }
}
