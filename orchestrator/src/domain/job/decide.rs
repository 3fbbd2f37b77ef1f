//! The rules of a job: one match over state and command here; the rules of its arms are in the submodules.

mod claim;
mod ending;
mod outcome;
mod report;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::job::{JobEvent, JobLaunched, JobPurged, JobStatus};

use super::command::{CompleteJob, JobCommand, LaunchJob, PurgeJob, StartJob};
use super::state::{Ended, JobState, Queued, Running};
use claim::{claim_queued, claim_running};
pub use ending::longest_run;
use ending::{cancel_ended, cancel_running, expire_lease, time_out_queued, time_out_running};
use outcome::cancelled_queued;
pub use report::LogAttempt;
pub(super) use report::log_attempt;
use report::{
    begin, complete_ended, complete_queued, complete_running, ended_refusal, not_held, refuse_report,
    show_lease,
};

/// Why a command to a job was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// No such job.
    #[error("there is no such job")]
    NotFound,
    /// The idempotency key of the launch was used before, for another request.
    #[error("the idempotency key was used for a launch with another body")]
    KeyReused,
    /// Another claim has won.
    #[error("the job is already claimed")]
    AlreadyClaimed,
    /// The job to claim has ended.
    #[error("the job has already ended as {}: it can no longer be claimed", .0.as_str())]
    ClaimedTooLate(JobStatus),
    /// The runner lacks capabilities that the job demands.
    #[error("the runner lacks what the job demands: {}", .missing.join(", "))]
    CapabilityMissing {
        /// The missing capabilities.
        missing: Vec<String>,
    },
    /// A holder that does not fence was lost and may come back, so only a runner that fences may claim the job.
    #[error(
        "an attempt was lost whose holder may come back: only a runner that echoes its lease may claim the job"
    )]
    NeedsFencing,
    /// The job is a retry whose backoff is not over.
    #[error("the job is not due before {0}")]
    NotDue(DateTime<Utc>),
    /// The job belongs to a concurrency group, and the claim does not come with a place in it.
    #[error("a claim of the job needs a place in its concurrency group")]
    PlaceMissing,
    /// The sender does not hold the job.
    #[error("the lease is lost: the job is not this sender's any more")]
    LeaseLost,
    /// The job ended before, with another result.
    #[error("the job has already ended as {}, with another result", .0.as_str())]
    AlreadyCompleted(JobStatus),
    /// The job has ended.
    #[error("the job has already ended as {}", .0.as_str())]
    AlreadyEnded(JobStatus),
    /// No runner holds the job.
    #[error("the job is not running")]
    NotRunning,
    /// The job ended too long ago to take further logs.
    #[error("the job ended too long ago to take further logs")]
    LogSealed,
    /// The reported status is not a terminal one.
    #[error("a runner cannot report {} here", .0.as_str())]
    NotTerminal(JobStatus),
}

/// Decides a command: returns the events to record, or why it is refused. No events means that there is nothing to
/// do, or that what is asked is already so.
pub(super) fn decide(state: &JobState, command: JobCommand) -> Result<Vec<JobEvent>, JobError> {
    match (state, command) {
        (JobState::Absent, JobCommand::Launch(LaunchJob { launch })) => Ok(vec![JobEvent::Launched(*launch)]),
        (
            JobState::Absent,
            JobCommand::Claim(_)
            | JobCommand::Start(_)
            | JobCommand::ShowLease(_)
            | JobCommand::Complete(_)
            | JobCommand::RefuseReport(_)
            | JobCommand::Cancel(_)
            | JobCommand::ExpireLease(_)
            | JobCommand::TimeOut(_)
            | JobCommand::Purge(_),
        ) => Err(JobError::NotFound),

        (
            JobState::Queued(Queued { launch: first, .. })
            | JobState::Running(Running { launch: first, .. })
            | JobState::Ended(Ended { launch: first, .. }),
            JobCommand::Launch(again),
        ) => relaunch(first, &again.launch),

        (JobState::Queued(queued), JobCommand::Claim(claim)) => claim_queued(queued, claim),
        (JobState::Running(running), JobCommand::Claim(claim)) => claim_running(running, &claim),
        (JobState::Ended(ended), JobCommand::Claim(_)) => Err(JobError::ClaimedTooLate(ended.status)),

        (JobState::Queued(queued), JobCommand::Start(start)) => Err(not_held(&queued.history, start.lease)),
        (JobState::Running(running), JobCommand::Start(start)) => begin(running, start.lease, start.now),
        (JobState::Ended(ended), JobCommand::Start(StartJob { lease, .. })) => {
            Err(ended_refusal(ended, lease, JobError::AlreadyEnded(ended.status)))
        }

        (JobState::Running(running), JobCommand::ShowLease(show)) => {
            show_lease(running, show.lease, show.now)
        }

        (_, JobCommand::Complete(CompleteJob { report, .. })) if !report.status.is_terminal() => {
            Err(JobError::NotTerminal(report.status))
        }
        (JobState::Queued(queued), JobCommand::Complete(complete)) => complete_queued(queued, &complete),
        (JobState::Running(running), JobCommand::Complete(complete)) => complete_running(running, complete),
        (JobState::Ended(ended), JobCommand::Complete(complete)) => complete_ended(ended, &complete),

        (
            JobState::Queued(Queued { launch, history, .. })
            | JobState::Running(Running { launch, history, .. })
            | JobState::Ended(Ended { launch, history, purged: false, .. }),
            JobCommand::RefuseReport(refused),
        ) => Ok(refuse_report(launch, history, refused)),

        (JobState::Queued(queued), JobCommand::Cancel(cancel)) => {
            Ok(vec![cancelled_queued(queued, cancel.reason, cancel.now)])
        }
        (JobState::Running(running), JobCommand::Cancel(cancel)) => Ok(cancel_running(running, cancel)),
        (JobState::Ended(ended), JobCommand::Cancel(_)) => cancel_ended(ended),

        (JobState::Running(running), JobCommand::ExpireLease(expire)) => Ok(expire_lease(running, &expire)),
        (JobState::Queued(queued), JobCommand::TimeOut(time_out)) => Ok(time_out_queued(queued, &time_out)),
        (JobState::Running(running), JobCommand::TimeOut(time_out)) => {
            Ok(time_out_running(running, &time_out))
        }
        (JobState::Ended(ended), JobCommand::Purge(purge)) => Ok(purge_ended(ended, &purge)),

        // Nothing to do: the holder reported, or another reconciler acted, before this command. A job that has not
        // ended is not purged, and one that is purged records no more refused reports.
        (
            JobState::Queued(_),
            JobCommand::ShowLease(_) | JobCommand::ExpireLease(_) | JobCommand::Purge(_),
        )
        | (JobState::Running(_), JobCommand::Purge(_))
        | (
            JobState::Ended(_),
            JobCommand::ShowLease(_)
            | JobCommand::ExpireLease(_)
            | JobCommand::TimeOut(_)
            | JobCommand::RefuseReport(_),
        ) => Ok(vec![]),
    }
}

fn purge_ended(ended: &Ended, purge: &PurgeJob) -> Vec<JobEvent> {
    // An end in the future is the mistake of a clock, which must not hold up the purge of all jobs that ended since.
    let is_in_the_future = ended.ended_at > purge.now + TimeDelta::days(1);
    if ended.purged || (ended.ended_at > purge.ended_until && !is_in_the_future) {
        return vec![];
    }
    vec![JobEvent::Purged(JobPurged {
        job_id: ended.launch.job_id,
        pipeline_id: ended.launch.pipeline_id,
        status: ended.status,
        purged_at: purge.now,
    })]
}

/// A launch for a job that exists: the same request repeated, or another one under a used idempotency key.
fn relaunch(first: &JobLaunched, again: &JobLaunched) -> Result<Vec<JobEvent>, JobError> {
    if first.request_digest.is_some() && first.request_digest == again.request_digest {
        Ok(vec![])
    } else {
        Err(JobError::KeyReused)
    }
}
