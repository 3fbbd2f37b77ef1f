//! Jobs that were just offered to a claim, and must not be offered to another one meanwhile.
//!
//! The queue is a read model, and goes on showing a job until its claim is recorded and folded. A reservation hides
//! the job until then, for a limited time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rivet_events::id::JobId;
use rivet_projections::job_queue::QueuedJob;
use tokio::sync::Notify;

/// How long an offered job stays reserved.
const RESERVED_FOR: Duration = Duration::from_secs(2);

/// A queued job, as it is after so many attempts. One that is queued again after an attempt is another offer, which
/// no old reservation hides.
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

/// The offers that are reserved, and since when.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    offers: Mutex<HashMap<Offer, Instant>>,
    returned: Notify,
}

impl Reservations {
    /// Reserves the job for one claim.
    pub(super) fn reserve(self: &Arc<Self>, offer: Offer) -> Reservation {
        self.offers().insert(offer, Instant::now());
        Reservation { offer, reservations: Arc::clone(self), is_tried: false }
    }

    pub(super) fn contains(&self, offer: &Offer) -> bool {
        self.offers().contains_key(offer)
    }

    pub(super) fn len(&self) -> usize {
        self.offers().len()
    }

    /// Drops the reservations that are older than [`RESERVED_FOR`].
    pub(super) fn forget_old(&self) {
        self.offers().retain(|_, at| at.elapsed() < RESERVED_FOR);
    }

    /// Waits until a reservation is dropped without its job having been tried to claim.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }

    fn offers(&self) -> MutexGuard<'_, HashMap<Offer, Instant>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is reserved for one claim. Dropped before the claim was tried, the job can be offered to the next at
/// once.
#[derive(Debug)]
pub(crate) struct Reservation {
    offer: Offer,
    reservations: Arc<Reservations>,
    is_tried: bool,
}

impl Reservation {
    /// Which job it is.
    pub(crate) fn job_id(&self) -> JobId {
        self.offer.job_id
    }

    /// Notes that the claim was tried, whether it won or not. The job stays reserved: if the queue still shows it,
    /// the queue is behind.
    pub(crate) fn tried(mut self) {
        self.is_tried = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_tried {
            self.reservations.offers().remove(&self.offer);
            self.reservations.returned.notify_one();
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
        let (reservations, offer) = (Arc::new(Reservations::default()), offer());
        let reservation = reservations.reserve(offer);
        assert!(reservations.contains(&offer));
        reservation.tried();
        assert!(reservations.contains(&offer));
    }

    #[tokio::test]
    async fn a_job_that_nobody_tried_to_claim_comes_back_at_once() {
        let (reservations, offer) = (Arc::new(Reservations::default()), offer());
        drop(reservations.reserve(offer));
        assert!(!reservations.contains(&offer));
        reservations.returned().await;
    }
}
