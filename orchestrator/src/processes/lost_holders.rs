//! Ends attempts whose holders fell silent, or never started.

use chrono::{DateTime, Utc};
use rivet_events::job::JobStatus;
use rivet_projections::jobs;

use super::{LastContacts, PAGE, Processes, SweepError, command};
use crate::chance;
use crate::domain::job::{Backoff, ExpireLease, JobCommand};

pub(super) async fn reconcile(
    processes: &Processes,
    contacts: &LastContacts<'_>,
    now: DateTime<Utc>,
) -> Result<(), SweepError> {
    let policy = processes.config.lease_policy();
    let mut after = None;
    loop {
        let page =
            jobs::with_status(&processes.read_models, JobStatus::Running, after.as_ref(), PAGE).await?;
        for job in page.items {
            let (Some(runner_id), Some(lease_id), Some(claimed_at)) =
                (&job.runner_id, job.lease_id, job.claimed_at)
            else {
                continue;
            };
            // The shortest time after which it may be lost: spares a look at every healthy job.
            let shortest = policy
                .lease
                .min(policy.legacy_lease)
                .min(policy.start_timeout)
                .min(policy.legacy_start_timeout);
            if (now - claimed_at).to_std().is_ok_and(|age| age <= shortest) {
                continue;
            }
            let expire = ExpireLease {
                lease_id,
                last_contact: contacts.find(runner_id).await?,
                rebooted: false,
                policy,
                backoff: Backoff { jitter: chance::draw() },
                now,
            };
            command(&processes.commands, "lost_holders", job.id, JobCommand::ExpireLease(expire)).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
