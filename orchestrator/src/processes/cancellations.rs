//! Ends jobs that are to stop and whose holders fell silent, or go on against force.

use rivet_projections::jobs::Job;

use super::{LastContacts, Processes, SweepError};
use crate::domain::job::{CancelJob, JobCommand};

/// Looks at a running job.
pub(super) async fn reconcile(
    processes: &Processes,
    job: &Job,
    contacts: &LastContacts<'_>,
    everybody_spoke: bool,
) -> Result<(), SweepError> {
    let (Some(request), Some(runner_id)) = (&job.cancel, &job.runner_id) else { return Ok(()) };
    let now = contacts.now;
    let cancel = CancelJob {
        reason: None,
        force: request.force,
        grace: processes.config.cancel_grace,
        // Until everybody had the time to speak, silence means nothing.
        last_contact: if everybody_spoke { contacts.find(runner_id).await? } else { Some(now) },
        now,
    };
    Ok(processes.commands.reconcile_job("cancellations", job.id, JobCommand::Cancel(cancel)).await?)
}
