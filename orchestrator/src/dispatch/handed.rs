//! What was handed out a moment ago: the queue still shows it, until the claim is recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rivet_events::id::JobId;
use rivet_projections::job_queue::QueuedJob;
use tokio::sync::Notify;

/// How long a job that was handed out is not handed to another.
const HANDED_FOR: Duration = Duration::from_secs(2);

/// A job as it waits after so many attempts: when it comes back, it is offered anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Offer {
    job_id: JobId,
    attempts: u32,
}

impl Offer {
    pub(super) fn of(job: &QueuedJob) -> Self {
        Self { job_id: job.job_id, attempts: job.attempt }
    }
}

/// What was handed out, and when.
#[derive(Debug, Default)]
pub(super) struct HandedOut {
    offers: Mutex<HashMap<Offer, Instant>>,
    returned: Notify,
}

impl HandedOut {
    /// Hides the job from all others, for a while.
    pub(super) fn hand(self: &Arc<Self>, offer: Offer) -> Offered {
        self.offers().insert(offer, Instant::now());
        Offered { offer, handed: Arc::clone(self), is_tried: false }
    }

    pub(super) fn contains(&self, offer: &Offer) -> bool {
        self.offers().contains_key(offer)
    }

    pub(super) fn len(&self) -> usize {
        self.offers().len()
    }

    pub(super) fn forget_old(&self) {
        self.offers().retain(|_, at| at.elapsed() < HANDED_FOR);
    }

    /// Waits until a job comes back that nobody has tried to claim.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }

    fn offers(&self) -> MutexGuard<'_, HashMap<Offer, Instant>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job in the hands of one who is about to claim it. Dropped without that, it goes to the next at once.
#[derive(Debug)]
pub(crate) struct Offered {
    offer: Offer,
    handed: Arc<HandedOut>,
    is_tried: bool,
}

impl Offered {
    /// Which job it is.
    pub(crate) fn job_id(&self) -> JobId {
        self.offer.job_id
    }

    /// Notes that the job's own answer is known: if the queue goes on showing it, the queue is behind.
    pub(crate) fn tried(mut self) {
        self.is_tried = true;
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        if !self.is_tried {
            self.handed.offers().remove(&self.offer);
            self.handed.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer { job_id: JobId::generate(), attempts: 0 }
    }

    #[test]
    fn a_job_is_hidden_while_somebody_claims_it_and_after() {
        let (handed, offer) = (Arc::new(HandedOut::default()), offer());
        let offered = handed.hand(offer);
        assert!(handed.contains(&offer));
        offered.tried();
        assert!(handed.contains(&offer));
    }

    #[tokio::test]
    async fn a_job_that_nobody_tried_to_claim_comes_back_at_once() {
        let (handed, offer) = (Arc::new(HandedOut::default()), offer());
        drop(handed.hand(offer));
        assert!(!handed.contains(&offer));
        handed.returned().await;
    }
}
