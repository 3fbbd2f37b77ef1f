//! Times out jobs that have waited in the queue, or run, for too long.

use chrono::{DateTime, Utc};
use rivet_events::elapsed;
use rivet_projections::job_queue;
use rivet_projections::jobs::Job;

use super::{PAGE, Processes, SweepError};
use crate::domain::job::{JobCommand, Retries, TimeOutJob, longest_run};

/// Times out queued jobs, one page per sweep, longest wait first. Jobs that it ends leave the queue, so the next
/// sweep gets the next page.
pub(super) async fn reconcile_queued(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    let latest = now - processes.config.leases.queue_timeout;
    for job in job_queue::queued_before(&processes.read_models, latest, PAGE).await? {
        // A wait that was too long ends the job, so its pipeline is not asked.
        let time_out = time_out(processes, Retries::Forbidden, now);
        processes.commands.reconcile_job("deadlines", job.job_id, time_out).await?;
    }
    Ok(())
}

/// Times out a running job whose attempt has run too long.
pub(super) async fn reconcile_running(
    processes: &Processes,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<(), SweepError> {
    let longest = longest_run(job.timeout_seconds, processes.config.leases.run_timeout);
    if job.claimed_at.is_some_and(|claimed_at| elapsed(claimed_at, now) > longest) {
        let retries = processes.commands.retries(job.pipeline_id).await;
        let time_out = time_out(processes, retries, now);
        processes.commands.reconcile_job("deadlines", job.id, time_out).await?;
    }
    Ok(())
}

fn time_out(processes: &Processes, retries: Retries, now: DateTime<Utc>) -> JobCommand {
    JobCommand::TimeOut(TimeOutJob {
        queue_timeout: processes.config.leases.queue_timeout,
        run_timeout: processes.config.leases.run_timeout,
        retries,
        now,
    })
}
