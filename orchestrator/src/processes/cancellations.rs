//! Ends running jobs with a cancel request whose holders have fallen silent, or go on in spite of a forced cancel.

use rivet_projections::jobs::Job;

use super::{LastContacts, Processes, SweepError};
use crate::domain::job::{CancelJob, JobCommand};

/// Sends a cancel to a running job that has a cancel request; the job decides whether it ends now.
pub(super) async fn reconcile(
    processes: &Processes,
    job: &Job,
    contacts: &LastContacts<'_>,
) -> Result<(), SweepError> {
    let (Some(request), Some(runner_id)) = (&job.cancel, &job.runner_id) else { return Ok(()) };
    let cancel = CancelJob {
        reason: None,
        force: request.force,
        grace: processes.config.leases.cancel_grace,
        last_contact: contacts.find(runner_id).await?.max(contacts.listening_since),
        now: contacts.now,
    };
    Ok(processes.commands.reconcile_job("cancellations", job.id, JobCommand::Cancel(cancel)).await?)
}
