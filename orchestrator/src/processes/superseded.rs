//! Cancels jobs of a concurrency group that a newer one, by its policy, makes needless.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_projections::ReadModels;
use rivet_projections::job_queue::{self, QueuedJob};

use super::{PAGE, Processes, SweepError, command};
use crate::commands::Commands;
use crate::domain::job::{CancelJob, JobCommand};

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    for group in job_queue::groups(&processes.read_models).await? {
        cancel_older(&processes.commands, &processes.read_models, &group, now).await?;
    }
    Ok(())
}

/// Cancels what is older in its group than the newest job that wants it so, waiting or running.
pub(crate) async fn cancel_older(
    commands: &Commands,
    read_models: &ReadModels,
    group: &str,
    now: DateTime<Utc>,
) -> Result<(), SweepError> {
    let jobs = job_queue::of_group(read_models, group, PAGE).await?;
    let Some(newest) = jobs.iter().rposition(cancels_older) else { return Ok(()) };
    for older in &jobs[..newest] {
        let cancel = CancelJob {
            reason: Some(format!("superseded by job {}", jobs[newest].job_id)),
            force: false,
            // Its runner is told; whether it is silent is the business of another process.
            grace: Duration::MAX,
            last_contact: None,
            now,
        };
        command(commands, "superseded", older.job_id, JobCommand::Cancel(cancel)).await?;
    }
    Ok(())
}

fn cancels_older(job: &QueuedJob) -> bool {
    job.concurrency.as_ref().is_some_and(|concurrency| concurrency.policy == ConcurrencyPolicy::CancelOlder)
}
