//! The ordinary life of a job, event by event, without chance: in benchmarks, every job must cost the same.

use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{JobClaimed, JobCompleted, JobEvent, JobLaunched, JobResult, JobStarted, JobStatus};
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntries, LogEntry, LogLevel};
use serde_json::json;

/// The runner of all these jobs.
pub fn runner() -> RunnerId {
    "build-01".parse().expect("a short name")
}

/// A launch with some parameters and demands.
pub fn launched(job_id: JobId, pipeline_id: PipelineId, now: DateTime<Utc>) -> JobEvent {
    let parameters =
        [("channel", json!("stable")), ("dry_run", json!(false)), ("commit", json!("9fceb02d0ae598e9"))];
    JobEvent::Launched(JobLaunched {
        job_id,
        pipeline_id,
        pipeline_version: 3,
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        demands: vec!["os=linux".to_owned(), "process".to_owned()],
        priority: 5,
        max_retries: 2,
        timeout_seconds: Some(900),
        retry_on_runner_lost: false,
        concurrency: None,
        retry_of: None,
        request_digest: None,
        requested_at: now,
    })
}

/// The first claim.
pub fn claimed(job_id: JobId, pipeline_id: PipelineId, now: DateTime<Utc>) -> JobEvent {
    JobEvent::Claimed(JobClaimed {
        job_id,
        pipeline_id,
        runner_id: runner(),
        attempt: 1,
        lease_id: LeaseId::generate(),
        fencing: true,
        request_key: None,
        ready_at: None,
        claimed_at: now,
    })
}

/// The start of the attempt.
pub fn started(job_id: JobId, pipeline_id: PipelineId, now: DateTime<Utc>) -> JobEvent {
    JobEvent::Started(JobStarted {
        job_id,
        pipeline_id,
        runner_id: runner(),
        attempt: 1,
        fencing: true,
        started_at: now,
    })
}

/// A batch of this many lines of 100 bytes.
pub fn logged(job_id: JobId, pipeline_id: PipelineId, lines: usize, now: DateTime<Utc>) -> JobLogEvent {
    let line = |n: usize| LogEntry {
        timestamp: now,
        level: LogLevel::Info,
        message: format!("{:<100}", format!("step {n} of {job_id}: compiled one more crate of this project")),
    };
    JobLogEvent::Appended(JobLogAppended {
        job_id,
        pipeline_id,
        attempt: 1,
        offset: 0,
        first_index: 1,
        entries: LogEntries::new(&(1..=lines).map(line).collect::<Vec<_>>()),
        digest: job_id.to_string(),
        appended_at: now,
    })
}

/// A successful completion.
pub fn completed(job_id: JobId, pipeline_id: PipelineId, now: DateTime<Utc>) -> JobEvent {
    JobEvent::Completed(JobCompleted {
        job_id,
        pipeline_id,
        runner_id: runner(),
        attempt: 1,
        status: JobStatus::Succeeded,
        result: Some(JobResult { success: true, exit_code: 0, output: None, error_message: None }),
        reason: None,
        completed_at: now,
    })
}
