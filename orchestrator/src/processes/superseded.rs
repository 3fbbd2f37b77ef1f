//! Cancels the jobs of a concurrency group that a newer job with the policy `cancel_older` supersedes.

use chrono::{DateTime, Utc};
use rivet_projections::job_queue;

use super::{Processes, SweepError};
use crate::cancelling::cancel_older;

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    for group in job_queue::groups(&processes.read_models).await? {
        cancel_older(&processes.commands, &processes.read_models, &group, now).await?;
    }
    Ok(())
}
