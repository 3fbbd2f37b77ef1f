//! The jobs that this runner holds, and how a cancellation finds its way to them.
//!
//! The server names the jobs to stop in `Rivet-Cancel`, on any answer to this runner: also on one that was about
//! another job, or about none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_events::id::JobId;
use tokio_util::sync::CancellationToken;

/// The jobs held now, each with the token that cancels it. Cheap to clone; clones share the jobs.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldJobs(Arc<Mutex<HashMap<JobId, CancellationToken>>>);

/// One held job, until it is dropped.
#[derive(Debug)]
pub(super) struct HeldJob {
    jobs: HeldJobs,
    job_id: JobId,
    /// Cancelled when the server wants the job to stop.
    pub(super) cancel: CancellationToken,
}

impl HeldJobs {
    /// Holds a job until the answer is dropped.
    pub(super) fn hold(&self, job_id: JobId) -> HeldJob {
        let cancel = CancellationToken::new();
        self.lock().insert(job_id, cancel.clone());
        HeldJob { jobs: self.clone(), job_id, cancel }
    }

    /// Cancels the jobs that a `Rivet-Cancel` header names; ids of jobs that are not held mean nothing here.
    pub(super) fn cancel(&self, header: &str) {
        let jobs = self.lock();
        header
            .split(',')
            .filter_map(|id| id.trim().parse().ok())
            .filter_map(|id: JobId| jobs.get(&id))
            .for_each(CancellationToken::cancel);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldJob {
    fn drop(&mut self) {
        self.jobs.lock().remove(&self.job_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_jobs_are_cancelled() {
        let jobs = HeldJobs::default();
        let [named, other] = [jobs.hold(JobId::generate()), jobs.hold(JobId::generate())];
        jobs.cancel(&format!("{}, not-an-id, {}", JobId::generate(), named.job_id));
        assert!(named.cancel.is_cancelled());
        assert!(!other.cancel.is_cancelled());
    }

    #[test]
    fn a_dropped_job_is_held_no_longer() {
        let jobs = HeldJobs::default();
        drop(jobs.hold(JobId::generate()));
        assert!(jobs.lock().is_empty());
    }
}
