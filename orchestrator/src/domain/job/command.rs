//! The commands to a job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::{LeaseId, RunnerId};
use rivet_events::job::{JobLaunched, JobResult, JobStatus};
use rivet_events::runner::Capabilities;

/// A command to one job.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum JobCommand {
    Launch(LaunchJob),
    Claim(ClaimJob),
    Start(StartJob),
    ShowLease(ShowLease),
    Complete(CompleteJob),
    RefuseReport(RefuseReport),
    Cancel(CancelJob),
    ExpireLease(ExpireLease),
    TimeOut(TimeOutJob),
    Purge(PurgeJob),
}

command_names! {
    JobCommand {
        Launch => "launch",
        Claim => "claim",
        Start => "start",
        ShowLease => "show_lease",
        Complete => "complete",
        RefuseReport => "refuse_report",
        Cancel => "cancel",
        ExpireLease => "expire_lease",
        TimeOut => "time_out",
        Purge => "purge",
    }
}

/// Put the job into the queue. `launch` is complete: inputs are checked, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchJob {
    /// The event to record.
    pub launch: Box<JobLaunched>,
}

/// Give the job to a runner.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimJob {
    /// The runner that claims.
    pub runner_id: RunnerId,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// The lease that it will hold.
    pub lease_id: LeaseId,
    /// Whether it fences: echoes its lease with what it sends.
    pub fencing: bool,
    /// Idempotency key of the request, by which a repeated claim is recognised.
    pub request_key: Option<String>,
    /// Whether a place in the concurrency group of the job is taken in the same append.
    pub has_place: bool,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// The holder gives a sign of work. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct StartJob {
    /// The lease that the sender echoed.
    pub lease: Option<LeaseId>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// The holder is alive and has echoed its lease, so it fences from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowLease {
    /// The lease that the sender echoed.
    pub lease: LeaseId,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// How an attempt ended, as reported by its holder.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// A terminal status.
    pub status: JobStatus,
    /// The result, if there is one.
    pub result: Option<JobResult>,
}

/// The holder reports the end of the attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct CompleteJob {
    /// The lease that the sender echoed.
    pub lease: Option<LeaseId>,
    /// How it ended.
    pub report: Report,
    /// Whether a retry may follow.
    pub retries: Retries,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Record, for the history only, a report that was refused because its lease was lost.
#[derive(Debug, Clone, PartialEq)]
pub struct RefuseReport {
    /// The lease that the sender echoed.
    pub lease: LeaseId,
    /// The refused report.
    pub report: Report,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Stop the job: at once if it is queued, else by asking its holder.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelJob {
    /// Why.
    pub reason: Option<String>,
    /// Whether to end the job after the grace even if its holder goes on.
    pub force: bool,
    /// How long a holder may be silent, or go on in spite of a forced cancel.
    pub grace: Duration,
    /// The last contact of the holder that this server knows of.
    pub last_contact: Option<DateTime<Utc>>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// End the attempt if its holder is lost. Sent by a reconciler, whose data may be out of date: the job checks again.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpireLease {
    /// The lease that seems to have run out.
    pub lease_id: LeaseId,
    /// The last contact of the holder that this server knows of.
    pub last_contact: Option<DateTime<Utc>>,
    /// Whether the runner has registered as another process, so that the holder does not exist any more.
    pub rebooted: bool,
    /// The durations by which the lease expires.
    pub policy: LeasePolicy,
    /// Whether a retry may follow.
    pub retries: Retries,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// How long a holder may be silent or idle before it counts as lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeasePolicy {
    /// Longest silence of a holder that fences.
    pub lease: Duration,
    /// The same for a holder that does not fence: its heartbeats may stop for minutes under load.
    pub legacy_lease: Duration,
    /// Longest time from the claim to the first sign of work, for a holder that fences.
    pub start_timeout: Duration,
    /// The same for a holder that does not fence; it may be pulling an image.
    pub legacy_start_timeout: Duration,
    /// Number of attempts lost in a row at which a job ends as failed, since it may be what kills its runners.
    pub max_lost_attempts: u32,
}

/// End the job, or its attempt, if a deadline has passed. Sent by a reconciler; the job checks again.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeOutJob {
    /// Longest wait since the job was last queued.
    pub queue_timeout: Duration,
    /// Longest run of an attempt, if the pipeline sets none.
    pub run_timeout: Duration,
    /// Whether a retry may follow.
    pub retries: Retries,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Whether another attempt may follow one that has ended, as far as the pipeline goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retries {
    /// It may not: the pipeline was deleted.
    Forbidden,
    /// It may.
    Allowed {
        /// A random number from 0 to 1, drawn by the caller, for the backoff.
        jitter: f64,
    },
}

impl Retries {
    const FIRST_BACKOFF: Duration = Duration::from_secs(1);
    const LONGEST_BACKOFF: Duration = Duration::from_secs(100);

    /// The exponential backoff before a retry, after this many earlier ones: 1 s, doubled with each retry up to 100 s,
    /// plus a random jitter of up to a quarter, so that jobs that failed together do not come back together. `None` if
    /// no retry may follow.
    #[must_use]
    pub fn backoff(self, earlier: u32) -> Option<Duration> {
        let Self::Allowed { jitter } = self else { return None };
        let doubled = Self::FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(earlier));
        Some(doubled.min(Self::LONGEST_BACKOFF).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0))
    }
}

/// Mark the job as purged, if it ended long enough ago: its events and rows are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeJob {
    /// It must have ended at this time or before.
    pub ended_until: DateTime<Utc>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}
