//! Jobs that were just offered to a claim, and must not be offered to another one meanwhile.
//!
//! The queue is a read model, and goes on showing a job until its claim is recorded and folded. A reservation hides
//! the job until then, for a limited time. That of a job with a concurrency group also stands for the place in the
//! group, until the queue shows the job as running.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rivet_events::Position;
use rivet_events::id::JobId;
use tokio::sync::{Notify, watch};

use super::offers::Offer;

/// How long an offered job stays reserved.
const RESERVED_FOR: Duration = Duration::from_secs(2);

/// The offers that are reserved.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    offers: Mutex<HashMap<Offer, Reserved>>,
    returned: Notify,
    claimed: Notify,
}

/// How an offer is reserved.
#[derive(Debug)]
struct Reserved {
    since: Instant,
    claim: Claim,
}

/// What is known of the claim that an offer is reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    UnderWay,
    /// It has taken a place in the job's concurrency group, at this position.
    Won(Position),
    /// Whether it was won or lost does not matter any more.
    Over,
}

impl Reservations {
    /// Reserves the job for one claim.
    pub(super) fn reserve(self: &Arc<Self>, offer: Offer) -> Reservation {
        let reserved = Reserved { since: Instant::now(), claim: Claim::UnderWay };
        self.offers().insert(offer.clone(), reserved);
        Reservation { offer, reservations: Arc::clone(self), is_kept: false }
    }

    pub(super) fn contains(&self, offer: &Offer) -> bool {
        self.offers().contains_key(offer)
    }

    pub(super) fn len(&self) -> usize {
        self.offers().len()
    }

    /// How many places of each concurrency group are taken by claims that the queue does not show yet.
    pub(super) fn of_groups(&self) -> BTreeMap<String, u64> {
        let mut places = BTreeMap::new();
        for (offer, reserved) in &*self.offers() {
            if let Some((group, _)) = &offer.group
                && reserved.claim != Claim::Over
            {
                *places.entry(group.clone()).or_default() += 1;
            }
        }
        places
    }

    /// Drops the reservations that are older than [`RESERVED_FOR`].
    pub(super) fn forget_old(&self) {
        self.offers().retain(|_, reserved| reserved.since.elapsed() < RESERVED_FOR);
    }

    /// Waits until a reservation is dropped without its job having been tried to claim.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }

    /// Waits until the queue, as it is at `positions`, shows a claim that has taken a place in a concurrency group, and
    /// drops the reservation.
    pub(super) async fn shown(&self, positions: &mut watch::Receiver<Position>) {
        loop {
            let won = self.offers().values().filter_map(|reserved| reserved.claim.position()).min();
            match won {
                Some(won) if positions.wait_for(|seen| *seen >= won).await.is_ok() => {
                    self.offers().retain(|_, reserved| reserved.claim.position() != Some(won));
                    return;
                }
                Some(_) | None => self.claimed.notified().await,
            }
        }
    }

    fn offers(&self) -> MutexGuard<'_, HashMap<Offer, Reserved>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn position(self) -> Option<Position> {
        if let Self::Won(position) = self { Some(position) } else { None }
    }
}

/// A job that is reserved for one claim. Dropped before the claim was tried, the job can be offered to the next at
/// once.
#[derive(Debug)]
pub(crate) struct Reservation {
    offer: Offer,
    reservations: Arc<Reservations>,
    is_kept: bool,
}

impl Reservation {
    /// Which job it is.
    pub(crate) fn job_id(&self) -> JobId {
        self.offer.job_id
    }

    /// Notes that the claim was won, at this position.
    pub(crate) fn won(self, position: Position) {
        match self.offer.group {
            Some(_) => self.keep(Claim::Won(position)),
            None => self.tried(),
        }
    }

    /// Notes that the claim was tried, whether it won or not. The job stays reserved: if the queue still shows it,
    /// the queue is behind.
    pub(crate) fn tried(self) {
        self.keep(Claim::Over);
    }

    fn keep(mut self, claim: Claim) {
        self.is_kept = true;
        if let Some(reserved) = self.reservations.offers().get_mut(&self.offer) {
            reserved.claim = claim;
        }
        if claim != Claim::Over {
            self.reservations.claimed.notify_one();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_kept {
            self.reservations.offers().remove(&self.offer);
            self.reservations.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(group: Option<&str>) -> Offer {
        let group = group.map(|group| (group.to_owned(), 1));
        Offer { job_id: JobId::generate(), attempts: 0, group }
    }

    #[test]
    fn a_job_is_hidden_while_somebody_claims_it_and_after() {
        let (reservations, offer) = (Arc::new(Reservations::default()), offer(None));
        let reservation = reservations.reserve(offer.clone());
        assert!(reservations.contains(&offer));
        reservation.tried();
        assert!(reservations.contains(&offer));
    }

    #[tokio::test]
    async fn a_job_that_nobody_tried_to_claim_comes_back_at_once() {
        let (reservations, offer) = (Arc::new(Reservations::default()), offer(None));
        drop(reservations.reserve(offer.clone()));
        assert!(!reservations.contains(&offer));
        reservations.returned().await;
    }

    #[tokio::test]
    async fn a_claim_takes_a_place_of_its_group_until_the_queue_shows_it() {
        let (reservations, seen) = (Arc::new(Reservations::default()), watch::Sender::new(Position(1)));
        let mut positions = seen.subscribe();
        let (won, lost) = (reservations.reserve(offer(Some("g"))), reservations.reserve(offer(Some("g"))));
        assert_eq!(reservations.of_groups(), BTreeMap::from([("g".to_owned(), 2)]));
        won.won(Position(2));
        lost.tried();
        assert_eq!(reservations.of_groups(), BTreeMap::from([("g".to_owned(), 1)]));
        assert!(futures_util::poll!(Box::pin(reservations.shown(&mut positions))).is_pending());
        seen.send_replace(Position(2));
        reservations.shown(&mut positions).await;
        assert_eq!(reservations.of_groups(), BTreeMap::new());
    }
}
