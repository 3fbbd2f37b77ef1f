//! Jobs that were just offered to a claim, and must not be offered to another one meanwhile.
//!
//! The queue is a read model, and goes on showing a job until its claim is recorded and folded. A reservation hides
//! the job until then, for a limited time. That of a job with a concurrency group also stands for the place in the
//! group.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rivet_events::Position;
use rivet_events::id::JobId;
use rivet_projections::job_queue::Occupancy;
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
    /// The queue shows the job as running from this position on.
    Won(Position),
    Lost,
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

    /// The places of concurrency groups that are taken by claims that the queue does not show yet.
    pub(super) fn occupancy(&self) -> Occupancy {
        let offers = self.offers();
        let reserved = offers.iter().filter(|(_, reserved)| reserved.claim != Claim::Lost);
        reserved.filter_map(|(offer, _)| offer.concurrency.as_ref()).collect()
    }

    /// Drops the reservations whose claims the queue shows, as it is at the position `shown` or later, and those that
    /// are older than [`RESERVED_FOR`].
    pub(super) fn forget(&self, shown: Position) {
        let hides = |claim: Claim| claim.position().is_none_or(|won| won > shown);
        self.offers().retain(|_, reserved| hides(reserved.claim) && reserved.since.elapsed() < RESERVED_FOR);
    }

    /// Waits until a reservation is dropped without its job having been tried to claim.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }

    /// Waits until the queue, as it is at `positions`, shows a claim that has taken a place in a concurrency group. A
    /// query just before may have counted that place twice.
    pub(super) async fn shown(&self, positions: &mut watch::Receiver<Position>) {
        loop {
            match self.next_in_a_group() {
                Some(won) if positions.wait_for(|seen| *seen >= won).await.is_ok() => return,
                Some(_) | None => self.claimed.notified().await,
            }
        }
    }

    /// The lowest position at which a place in a concurrency group was taken.
    fn next_in_a_group(&self) -> Option<Position> {
        let offers = self.offers();
        let in_a_group = offers.iter().filter(|(offer, _)| offer.concurrency.is_some());
        in_a_group.filter_map(|(_, reserved)| reserved.claim.position()).min()
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
        self.keep(Claim::Won(position));
    }

    /// Notes that the claim was lost. The job stays reserved for a while: if the queue still shows it, the queue is
    /// behind.
    pub(crate) fn lost(self) {
        self.keep(Claim::Lost);
    }

    fn keep(mut self, claim: Claim) {
        self.is_kept = true;
        if let Some(reserved) = self.reservations.offers().get_mut(&self.offer) {
            reserved.claim = claim;
        }
        self.reservations.claimed.notify_one();
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
    use rivet_events::job::Concurrency;
    use rivet_events::pipeline::ConcurrencyPolicy;

    use super::*;

    fn offer(group: Option<&str>) -> Offer {
        let policy = ConcurrencyPolicy::Queue;
        let concurrency = group.map(|group| Concurrency { group: group.to_owned(), limit: 1, policy });
        Offer { job_id: JobId::generate(), attempts: 0, concurrency }
    }

    #[test]
    fn a_job_is_hidden_while_somebody_claims_it_and_until_the_queue_shows_the_claim() {
        let (reservations, won, lost) = (Arc::new(Reservations::default()), offer(None), offer(None));
        let claims = [&won, &lost].map(|offer| reservations.reserve(offer.clone()));
        let hidden = |shown| {
            reservations.forget(Position(shown));
            [&won, &lost].map(|offer| reservations.contains(offer))
        };
        assert_eq!(hidden(1), [true, true]);
        let [winner, loser] = claims;
        winner.won(Position(2));
        loser.lost();
        assert_eq!(hidden(1), [true, true]);
        assert_eq!(hidden(2), [false, true]);
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
        let (won, lost) = (offer(Some("g")), offer(Some("g")));
        let occupied_by =
            |offers: &[&Offer]| offers.iter().filter_map(|offer| offer.concurrency.as_ref()).collect();
        let [winner, loser] = [&won, &lost].map(|offer| reservations.reserve(offer.clone()));
        assert_eq!(reservations.occupancy(), occupied_by(&[&won, &lost]));
        winner.won(Position(2));
        loser.lost();
        assert_eq!(reservations.occupancy(), occupied_by(&[&won]));
        assert!(futures_util::poll!(Box::pin(reservations.shown(&mut positions))).is_pending());
        seen.send_replace(Position(2));
        reservations.shown(&mut positions).await;
        reservations.forget(Position(2));
        assert_eq!(reservations.occupancy(), Occupancy::default());
    }
}
