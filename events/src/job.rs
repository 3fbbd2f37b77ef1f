//! The events of a job, from its launch to its end.
//!
//! Each event names the pipeline, and the runner and attempt where there is one, so that every read model finds
//! its row from the event alone.

mod due;
mod members;
mod status;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{JobId, LeaseId, PipelineId, RunnerId};
use crate::pipeline::ConcurrencyPolicy;

pub use self::due::is_due;
pub use self::members::Ending;
pub use self::status::{JobResult, JobStatus};

/// A fact about one job. Stream: `job/{job_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum JobEvent {
    #[serde(rename = "job.launched")]
    Launched(JobLaunched),
    #[serde(rename = "job.claimed")]
    Claimed(JobClaimed),
    #[serde(rename = "job.started")]
    Started(JobStarted),
    #[serde(rename = "job.lease_shown")]
    LeaseShown(JobLeaseShown),
    #[serde(rename = "job.lease_expired")]
    LeaseExpired(JobLeaseExpired),
    #[serde(rename = "job.requeued")]
    Requeued(JobRequeued),
    #[serde(rename = "job.cancel_requested")]
    CancelRequested(JobCancelRequested),
    #[serde(rename = "job.report_refused")]
    ReportRefused(JobReportRefused),
    #[serde(rename = "job.completed")]
    Completed(JobCompleted),
    #[serde(rename = "job.cancelled")]
    Cancelled(JobCancelled),
    #[serde(rename = "job.timed_out")]
    TimedOut(JobTimedOut),
    #[serde(rename = "job.purged")]
    Purged(JobPurged),
}

/// The job was launched and waits in the queue. Everything that later decisions depend on is fixed here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLaunched {
    /// The job.
    pub job_id: JobId,
    /// What it runs.
    pub pipeline_id: PipelineId,
    /// The version of the pipeline that it runs, even if the pipeline is revised or deleted later.
    pub pipeline_version: u32,
    /// Values of the inputs, defaults filled in; always an object.
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Capabilities that its runner needs.
    pub demands: Vec<String>,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    /// Further attempts after a failure.
    pub max_retries: u32,
    /// Longest run of one attempt, in seconds; the server's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Whether, after the runner of an attempt was lost, the next attempt may go to a runner that cannot be fenced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_on_runner_lost: bool,
    /// The group whose limit it shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The ended job that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// Digest of the launch request, where it came with an idempotency key: the same key with another request
    /// is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// When.
    pub requested_at: DateTime<Utc>,
}

/// A job's share in a concurrency group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Concurrency {
    /// The group's name.
    pub group: String,
    /// Running jobs that it allows.
    pub limit: u32,
    /// What a new job of a full group does.
    pub policy: ConcurrencyPolicy,
}

/// A runner won the job: a new attempt with a new lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobClaimed {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder.
    pub runner_id: RunnerId,
    /// 1, 2, …
    pub attempt: u32,
    /// The fencing token of the attempt.
    pub lease_id: LeaseId,
    /// Whether the holder echoes its lease, so that a stale write of it can be recognised.
    pub fencing: bool,
    /// The holder's `Rivet-Request-Key`: a claim repeated with it gets the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_key: Option<String>,
    /// Since when the job could be claimed; absent in events recorded before this member existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<DateTime<Utc>>,
    /// When; on the wire this is the job's `started_at`.
    pub claimed_at: DateTime<Utc>,
}

/// The holder gave its first sign of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobStarted {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder.
    pub runner_id: RunnerId,
    /// The attempt.
    pub attempt: u32,
    /// Whether the holder has shown by now that it echoes its lease.
    pub fencing: bool,
    /// When.
    pub started_at: DateTime<Utc>,
}

/// A holder that was not known to fence has echoed its lease, so it fences from now on. If that comes with
/// the first sign of work, the start says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLeaseShown {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder.
    pub runner_id: RunnerId,
    /// The attempt.
    pub attempt: u32,
    /// When.
    pub shown_at: DateTime<Utc>,
}

/// The holder was silent for longer than its lease, or never started. What becomes of the job is another event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLeaseExpired {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The lost holder.
    pub runner_id: RunnerId,
    /// The lost attempt.
    pub attempt: u32,
    /// The lease that is void from now on.
    pub lease_id: LeaseId,
    /// What ran out.
    pub cause: ExpiryCause,
    /// When.
    pub expired_at: DateTime<Utc>,
}

/// What ran out when a lease expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryCause {
    /// No contact for the length of the lease.
    Silent,
    /// Claimed, but no sign of a start in time.
    NotStarted,
    /// Another process registered under the name of the runner.
    Rebooted,
}

/// The attempt ended, but not the job: it waits for the next attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobRequeued {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder of the attempt that ended.
    pub runner_id: RunnerId,
    /// The attempt that ended.
    pub attempt: u32,
    /// Why the attempt ended.
    pub cause: RequeueCause,
    /// The result of the attempt, where its holder reported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// Whether only a runner that echoes its lease may claim the next attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_fencing: bool,
    /// The job is not offered to runners before this time.
    pub due_at: DateTime<Utc>,
    /// When.
    pub requeued_at: DateTime<Utc>,
}

/// Why an attempt ended without ending its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequeueCause {
    /// It failed, and retries are left.
    Failed,
    /// It ran too long, and retries are left.
    RunTimeout,
    /// Its holder was lost.
    RunnerLost,
}

/// Somebody wants a running job to stop; its holder is told at its next contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCancelRequested {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder that is to stop.
    pub runner_id: RunnerId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the job ends after the grace period even if the holder goes on.
    pub force: bool,
    /// When.
    pub requested_at: DateTime<Utc>,
}

/// A former holder, whose lease has ended, sent a report, which was refused. It is kept once for each lease, for the
/// history, and never applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobReportRefused {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The lease that the report came with.
    pub lease_id: LeaseId,
    /// What was reported.
    pub status: JobStatus,
    /// With what result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// When.
    pub refused_at: DateTime<Utc>,
}

/// The job succeeded or failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCompleted {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The last holder.
    pub runner_id: RunnerId,
    /// The last attempt.
    pub attempt: u32,
    /// `Succeeded` or `Failed`.
    pub status: JobStatus,
    /// What the holder reported; none where the server ended the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// Why, where the server ended the job, such as `runner_lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub completed_at: DateTime<Utc>,
}

/// The job was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCancelled {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder, if it was running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_id: Option<RunnerId>,
    /// The last attempt; 0 if there was none.
    pub attempt: u32,
    /// What the holder reported on stopping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub cancelled_at: DateTime<Utc>,
}

/// The job ended because a deadline passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobTimedOut {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The holder, if it was running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_id: Option<RunnerId>,
    /// The last attempt; 0 if there was none.
    pub attempt: u32,
    /// What the holder reported, if it was the holder that reported the timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// Which deadline.
    pub reason: String,
    /// When.
    pub timed_out_at: DateTime<Utc>,
}

/// The job ended so long ago that nothing of it is kept. Read models delete its rows; then its events are deleted,
/// including this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPurged {
    /// The job.
    pub job_id: JobId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// How it had ended.
    pub status: JobStatus,
    /// When this was decided.
    pub purged_at: DateTime<Utc>,
}
