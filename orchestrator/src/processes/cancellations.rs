//! Ends jobs that are to stop and whose holders fell silent, or go on against force.

use chrono::{DateTime, Utc};
use rivet_events::job::JobStatus;
use rivet_projections::jobs;

use super::{PAGE, Processes, SweepError, command};
use crate::domain::job::{CancelJob, JobCommand};

pub(super) async fn reconcile(
    processes: &Processes,
    now: DateTime<Utc>,
    everybody_spoke: bool,
) -> Result<(), SweepError> {
    let mut after = None;
    loop {
        let page =
            jobs::with_status(&processes.read_models, JobStatus::Running, after.as_ref(), PAGE).await?;
        for job in page.items {
            let (Some(request), Some(runner_id)) = (&job.cancel, &job.runner_id) else { continue };
            let last_contact = processes.last_contact(runner_id).await?;
            let cancel = CancelJob {
                reason: None,
                force: request.force,
                grace: processes.config.cancel_grace,
                // Until everybody had the time to speak, silence means nothing.
                last_contact: if everybody_spoke { last_contact } else { Some(now) },
                now,
            };
            command(&processes.commands, "cancellations", job.id, JobCommand::Cancel(cancel)).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
