//! What can be asked of a job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::{LeaseId, RunnerId};
use rivet_events::job::{JobLaunched, JobResult, JobStatus};

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

/// Put the job into the queue. The facts are complete: inputs checked, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchJob {
    /// What will be recorded.
    pub launch: Box<JobLaunched>,
}

/// Give the job to a runner.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimJob {
    /// Who asks.
    pub runner_id: RunnerId,
    /// What it can do; `None` is everything.
    pub capabilities: Option<Vec<String>>,
    /// The lease it will hold.
    pub lease_id: LeaseId,
    /// Whether it echoes its lease.
    pub fencing: bool,
    /// By which a repeated request is known.
    pub request_key: Option<String>,
    /// When.
    pub now: DateTime<Utc>,
}

/// The holder shows that it works. Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct StartJob {
    /// The lease that the sender echoed.
    pub lease: Option<LeaseId>,
    /// When.
    pub now: DateTime<Utc>,
}

/// The holder is alive, and echoes its lease: it fences from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowLease {
    /// The lease that the sender echoed.
    pub lease: LeaseId,
}

/// How an attempt ended, as its holder tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// A terminal word.
    pub status: JobStatus,
    /// With what result.
    pub result: Option<JobResult>,
}

/// The attempt is over.
#[derive(Debug, Clone, PartialEq)]
pub struct CompleteJob {
    /// The lease that the sender echoed.
    pub lease: Option<LeaseId>,
    /// How it ended.
    pub report: Report,
    /// How long a retry waits; none is to follow where there is no backoff, since the pipeline was deleted.
    pub backoff: Option<Backoff>,
    /// When.
    pub now: DateTime<Utc>,
}

/// Keep, for the history, a report that was refused because its lease was lost.
#[derive(Debug, Clone, PartialEq)]
pub struct RefuseReport {
    /// The lease that the sender echoed.
    pub lease: LeaseId,
    /// What it reported.
    pub report: Report,
    /// When.
    pub now: DateTime<Utc>,
}

/// Somebody wants the job to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelJob {
    /// Why.
    pub reason: Option<String>,
    /// End it after the grace even if the holder goes on.
    pub force: bool,
    /// How long a holder may be silent, or go on against a forced cancel.
    pub grace: Duration,
    /// The last sign of life of the holder that this server knows of.
    pub last_contact: Option<DateTime<Utc>>,
    /// When.
    pub now: DateTime<Utc>,
}

/// End the attempt if its holder is lost. Asked by a reconciler, which may be wrong: the job checks again.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpireLease {
    /// The lease that seems to have run out.
    pub lease_id: LeaseId,
    /// The last sign of life of the holder that this server knows of.
    pub last_contact: Option<DateTime<Utc>>,
    /// The name of the runner is known to be another process now.
    pub rebooted: bool,
    /// How long leases are.
    pub policy: LeasePolicy,
    /// How long a retry waits; none is to follow where there is no backoff, since the pipeline was deleted.
    pub backoff: Option<Backoff>,
    /// When.
    pub now: DateTime<Utc>,
}

/// How long a holder may be silent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeasePolicy {
    /// For a holder that fences.
    pub lease: Duration,
    /// For one that cannot: its heartbeats starve for minutes under load.
    pub legacy_lease: Duration,
    /// From the claim to the first sign of work, for a holder that fences.
    pub start_timeout: Duration,
    /// The same for one that cannot; it may be pulling an image.
    pub legacy_start_timeout: Duration,
    /// Attempts lost in a row after which a job that kills its runners ends.
    pub max_lost_attempts: u32,
}

/// End the job, or its attempt, if a deadline has passed. Asked by a reconciler; the job checks again.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeOutJob {
    /// Longest wait since the job was last queued.
    pub queue_timeout: Duration,
    /// Longest run of an attempt, where the pipeline names none.
    pub run_timeout: Duration,
    /// How long a retry waits; none is to follow where there is no backoff, since the pipeline was deleted.
    pub backoff: Option<Backoff>,
    /// When.
    pub now: DateTime<Utc>,
}

/// The wait before a retry: 1 s, doubled with each retry up to 100 s, and up to a quarter more by chance, so
/// that jobs that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Chance, 0 to 1; drawn by the caller.
    pub jitter: f64,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(100);

    /// The wait after this many retries already made.
    #[must_use]
    pub fn after(self, retries: u32) -> Duration {
        let doubled = Self::FIRST.saturating_mul(2_u32.saturating_pow(retries));
        doubled.min(Self::LONGEST).mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) / 4.0)
    }
}

/// Keep nothing of the job, if it ended long enough ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeJob {
    /// When it must have ended at the latest.
    pub ended_until: DateTime<Utc>,
    /// When.
    pub now: DateTime<Utc>,
}
