//! The rules of a claim: who may have a queued job.

use rivet_events::job::{JobClaimed, JobEvent};

use super::JobError;
use crate::domain::job::command::ClaimJob;
use crate::domain::job::state::{PastClaim, Queued, Running};

pub(super) fn claim_queued(queued: &Queued, claim: ClaimJob) -> Result<Vec<JobEvent>, JobError> {
    // A late copy of the request by which an earlier attempt was won: nobody waits for its answer to run another one.
    let is_repeated =
        |past: &PastClaim| past.runner_id == claim.runner_id && Some(&past.key) == claim.request_key.as_ref();
    if queued.history.past.iter().filter_map(|past| past.claim.as_ref()).any(is_repeated) {
        return Err(JobError::LeaseLost);
    }
    let missing: Vec<_> = claim.capabilities.missing(&queued.launch.demands).cloned().collect();
    if !missing.is_empty() {
        return Err(JobError::CapabilityMissing { missing });
    }
    if queued.history.needs_fencing && !claim.fencing {
        return Err(JobError::NeedsFencing);
    }
    if !queued.is_due(claim.now) {
        return Err(JobError::NotDue(queued.due_at));
    }
    if queued.launch.concurrency.is_some() && !claim.has_place {
        return Err(JobError::PlaceMissing);
    }
    Ok(vec![JobEvent::Claimed(JobClaimed {
        job_id: queued.launch.job_id,
        pipeline_id: queued.launch.pipeline_id,
        runner_id: claim.runner_id,
        attempt: queued.history.attempts + 1,
        lease_id: claim.lease_id,
        fencing: claim.fencing,
        request_key: claim.request_key,
        ready_at: Some(queued.queued_at.max(queued.due_at)),
        claimed_at: claim.now,
    })])
}

/// A claim for a running job succeeds, without events, only if it repeats the one by which its holder got the job.
pub(super) fn claim_running(running: &Running, claim: &ClaimJob) -> Result<Vec<JobEvent>, JobError> {
    let holder = &running.holder;
    let repeated = claim.request_key.is_some()
        && claim.request_key == holder.request_key
        && claim.runner_id == holder.runner_id;
    if repeated { Ok(vec![]) } else { Err(JobError::AlreadyClaimed) }
}
