//! The jobs that this runner holds, each with a token by which it is cancelled.
//!
//! The server names the jobs to stop in the header `Rivet-Cancel` of any answer to this runner, also when the request
//! was about another job, or about none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_events::id::JobId;
use tokio_util::sync::CancellationToken;

/// The attempts held now, each with the token that cancels it. Cheap to clone; clones share the attempts.
///
/// The key is the attempt and not only the job: the runner may be given the next attempt of a job while one whose
/// lease is lost is still being ended.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldJobs(Arc<Mutex<HashMap<Attempt, CancellationToken>>>);

/// A job, and which attempt of it.
type Attempt = (JobId, u32);

/// One attempt of a job, held until it is dropped.
#[derive(Debug)]
pub(super) struct HeldJob {
    jobs: HeldJobs,
    attempt: Attempt,
    /// Cancelled when the server wants the job to stop.
    pub(super) cancel: CancellationToken,
}

impl HeldJobs {
    /// Holds an attempt of a job until the returned guard is dropped.
    pub(super) fn hold(&self, job_id: JobId, attempt: u32) -> HeldJob {
        let attempt = (job_id, attempt);
        let cancel = CancellationToken::new();
        self.lock().insert(attempt, cancel.clone());
        HeldJob { jobs: self.clone(), attempt, cancel }
    }

    /// Cancels the jobs that a `Rivet-Cancel` header names; ignores ids of jobs that are not held.
    pub(super) fn cancel(&self, header: &str) {
        let named: Vec<JobId> = header.split(',').filter_map(|id| id.trim().parse().ok()).collect();
        for ((job_id, _), token) in self.lock().iter() {
            if named.contains(job_id) {
                token.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Attempt, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldJob {
    fn drop(&mut self) {
        self.jobs.lock().remove(&self.attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_jobs_are_cancelled() {
        let jobs = HeldJobs::default();
        let [named, other] = [jobs.hold(JobId::generate(), 1), jobs.hold(JobId::generate(), 1)];
        jobs.cancel(&format!("{}, not-an-id, {}", JobId::generate(), named.attempt.0));
        assert!(named.cancel.is_cancelled());
        assert!(!other.cancel.is_cancelled());
    }

    #[test]
    fn a_dropped_job_is_held_no_longer() {
        let jobs = HeldJobs::default();
        drop(jobs.hold(JobId::generate(), 1));
        assert!(jobs.lock().is_empty());
    }

    #[test]
    fn an_attempt_that_winds_down_does_not_take_the_next_one_with_it() {
        let (jobs, job_id) = (HeldJobs::default(), JobId::generate());
        let [lost, next] = [jobs.hold(job_id, 1), jobs.hold(job_id, 2)];
        drop(lost);
        jobs.cancel(&job_id.to_string());
        assert!(next.cancel.is_cancelled());
    }
}
