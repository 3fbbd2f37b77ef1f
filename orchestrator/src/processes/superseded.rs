//! Cancels the jobs of a concurrency group that a newer job with the policy `cancel_older` supersedes.

use chrono::{DateTime, Utc};
use rivet_projections::job_queue;

use super::{Processes, SweepError};
use crate::cancelling::cancel_older;

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    let Processes { commands, read_models, .. } = processes;
    for newest in job_queue::cancelling(read_models).await? {
        let Some(concurrency) = &newest.concurrency else { continue };
        let launch = (newest.launched_at, newest.job_id);
        cancel_older(commands, read_models, &concurrency.group, launch, now).await?;
    }
    Ok(())
}
