//! Expires the leases of running jobs whose holders have fallen silent, or never started to work.

use chrono::{DateTime, Utc};
use rivet_events::elapsed;
use rivet_projections::jobs::Job;

use super::{LastContacts, Processes, SweepError};
use crate::domain::job::{ExpireLease, JobCommand, LeasePolicy};

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
    let (policy, now) = (processes.config.leases.policy(), contacts.now);
    let held = Held { claimed_at, started_at: job.started_at };
    if !may_be_lost(held, contacts.of(runner_id, None).max(contacts.listening_since), &policy, now) {
        return Ok(());
    }
    let expire = ExpireLease {
        lease_id,
        last_contact: contacts.find(runner_id).await?.max(contacts.listening_since),
        rebooted: false,
        policy,
        retries: processes.commands.retries(job.pipeline_id).await,
        now,
    };
    Ok(processes.commands.reconcile_job("lost_holders", job.id, JobCommand::ExpireLease(expire)).await?)
}

#[derive(Clone, Copy)]
struct Held {
    claimed_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
}

/// Whether it is worth asking the job: this spares most jobs the command, and the lookup of their runners. The job may
/// know of a later contact, and whether its holder fences by now: so it is asked as soon as the shorter limits have
/// passed.
fn may_be_lost(
    held: Held,
    last_contact: Option<DateTime<Utc>>,
    policy: &LeasePolicy,
    now: DateTime<Utc>,
) -> bool {
    let is_silent = [Some(held.claimed_at), held.started_at, last_contact]
        .into_iter()
        .flatten()
        .all(|heard_at| elapsed(heard_at, now) > policy.lease.min(policy.legacy_lease));
    let is_late = held.started_at.is_none()
        && elapsed(held.claimed_at, now) > policy.start_timeout.min(policy.legacy_start_timeout);
    is_silent || is_late
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: LeasePolicy = LeasePolicy {
        lease: Duration::from_mins(2),
        legacy_lease: Duration::from_mins(15),
        start_timeout: Duration::from_mins(1),
        legacy_start_timeout: Duration::from_mins(10),
        max_lost_attempts: 3,
    };

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    /// Whether the holder of a job that was claimed at second 0 may be lost at `second`.
    fn may_be_lost_at(second: i64, started_at: Option<i64>, last_contact: Option<i64>) -> bool {
        let held = Held { claimed_at: at(0), started_at: started_at.map(at) };
        may_be_lost(held, last_contact.map(at), &POLICY, at(second))
    }

    #[test]
    fn a_job_is_asked_once_its_holder_is_silent_for_the_shorter_lease() {
        for (started_at, last_contact, heard_at) in
            [(0, None, 0), (5, None, 5), (5, Some(70), 70), (5, Some(-9), 5)]
        {
            let may_be_lost_at = |second| may_be_lost_at(second, Some(started_at), last_contact);
            assert!(!may_be_lost_at(heard_at + 120) && may_be_lost_at(heard_at + 121));
        }
    }

    #[test]
    fn a_job_is_asked_once_its_start_is_late_by_the_shorter_limit_even_if_its_holder_speaks() {
        assert!(!may_be_lost_at(60, None, Some(60)) && may_be_lost_at(61, None, Some(61)));
    }

    #[test]
    fn a_contact_during_the_sweep_keeps_a_job() {
        assert!(!may_be_lost_at(1000, Some(1), Some(1001)));
    }
}
