//! Expires the leases of running jobs whose holders have fallen silent, or never started to work.

use rivet_projections::jobs::Job;

use super::{LastContacts, Processes, SweepError};
use crate::domain::job::{ExpireLease, JobCommand};

/// Expires the lease of a running job if its holder is lost. To be called only after the grace period.
pub(super) async fn reconcile(
    processes: &Processes,
    job: &Job,
    contacts: &LastContacts<'_>,
) -> Result<(), SweepError> {
    let (Some(runner_id), Some(lease_id), Some(claimed_at)) = (&job.runner_id, job.lease_id, job.claimed_at)
    else {
        return Ok(());
    };
    let (policy, now) = (processes.config.lease_policy(), contacts.now);
    // A job claimed more recently than this cannot be lost yet, which spares most jobs the lookup of their runner.
    let shortest =
        policy.lease.min(policy.legacy_lease).min(policy.start_timeout).min(policy.legacy_start_timeout);
    if (now - claimed_at).to_std().is_ok_and(|age| age <= shortest) {
        return Ok(());
    }
    let expire = ExpireLease {
        lease_id,
        last_contact: contacts.find(runner_id).await?.max(contacts.listening_since),
        rebooted: false,
        policy,
        backoff: processes.commands.backoff(job.pipeline_id).await,
        now,
    };
    Ok(processes.commands.reconcile_job("lost_holders", job.id, JobCommand::ExpireLease(expire)).await?)
}
