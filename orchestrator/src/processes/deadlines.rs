//! Ends what waited or ran for too long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_projections::job_queue;
use rivet_projections::jobs::Job;

use super::{PAGE, Processes, SweepError, command};
use crate::chance;
use crate::domain::job::{Backoff, JobCommand, TimeOutJob};

/// Looks at the longest waits, one page a sweep: what it ends is gone from the next one's page.
pub(super) async fn reconcile_queued(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    let latest = now - processes.config.queue_timeout;
    for job in job_queue::queued_before(&processes.read_models, latest, PAGE).await? {
        command(&processes.commands, "deadlines", job.job_id, time_out(processes, now)).await?;
    }
    Ok(())
}

/// Looks at a running job.
pub(super) async fn reconcile_running(
    processes: &Processes,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<(), SweepError> {
    let longest = job.timeout_seconds.map_or(processes.config.run_timeout, Duration::from_secs);
    if job.claimed_at.is_some_and(|claimed_at| now - claimed_at > longest_delta(longest)) {
        command(&processes.commands, "deadlines", job.id, time_out(processes, now)).await?;
    }
    Ok(())
}

fn longest_delta(longest: Duration) -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(longest).unwrap_or(chrono::TimeDelta::MAX)
}

fn time_out(processes: &Processes, now: DateTime<Utc>) -> JobCommand {
    JobCommand::TimeOut(TimeOutJob {
        queue_timeout: processes.config.queue_timeout,
        run_timeout: processes.config.run_timeout,
        backoff: Backoff { jitter: chance::draw() },
        now,
    })
}
