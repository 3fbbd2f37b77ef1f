//! The line of claims that wait in this process, and the handing out of jobs to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rivet_events::id::RunnerId;
use rivet_events::runner::Capabilities;
use tokio::sync::oneshot;

use super::QueueUnreadable;
use super::offers::{Offers, Places, Queried};
use super::reservations::{Reservation, Reservations};

/// The waiting claims by the number of their place: the first is the one that arrived first.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) places: BTreeMap<u64, Waiting>,
    /// The places for which the queue has not been queried yet.
    pub(super) arrivals: BTreeSet<u64>,
}

/// A claim that waits for an offer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) runner_id: RunnerId,
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) offer: oneshot::Sender<Result<Reservation, QueueUnreadable>>,
    /// Whether its deadline has passed: it leaves the line after one more query that has nothing for it.
    pub(super) is_last_query: bool,
}

impl Line {
    pub(super) fn arrivals(&self) -> Places {
        let waiting = self.arrivals.iter().filter_map(|place| self.places.get_key_value(place));
        waiting.map(|(place, waiting)| (*place, Arc::clone(&waiting.capabilities))).collect()
    }

    pub(super) fn everybody(&self) -> Places {
        self.places.iter().map(|(place, waiting)| (*place, Arc::clone(&waiting.capabilities))).collect()
    }

    /// Reserves each job for the first claim in the line that may have it, and wakes that claim. Returns whether
    /// another query may have more for those that got nothing.
    pub(super) fn hand_out(&mut self, offers: &mut Offers, reservations: &Arc<Reservations>) -> bool {
        let mut may_get_more = false;
        for queried in offers.places.clone() {
            if !self.is_as_queried(&queried) {
                continue;
            }
            if let Some(offer) = offers.take(queried.queue, reservations) {
                let Some(waiting) = self.remove(queried.place) else { continue };
                // Where the claim has gone away, the reservation is dropped, and the job is there for the next.
                drop(waiting.offer.send(Ok(reservations.reserve(offer))));
            } else if offers.may_have_more(queried.queue) {
                may_get_more = true;
            } else {
                self.nothing_for(&queried);
            }
        }
        may_get_more
    }

    /// Notes that the queue has nothing for this place. If its deadline has passed, it leaves the line.
    pub(super) fn nothing_for(&mut self, queried: &Queried) {
        if !self.is_as_queried(queried) {
            return;
        }
        self.arrivals.remove(&queried.place);
        if self.places.get(&queried.place).is_some_and(|waiting| waiting.is_last_query) {
            self.places.remove(&queried.place);
        }
    }

    /// Notes that what the queue has for anybody is not known any more. Those whose deadline has passed are told so, and
    /// leave the line.
    pub(super) fn query_failed(&mut self) {
        for (_, waiting) in self.places.extract_if(.., |_, waiting| waiting.is_last_query) {
            drop(waiting.offer.send(Err(QueueUnreadable)));
        }
        self.arrivals = self.places.keys().copied().collect();
    }

    /// Whether somebody waits at this place, and the runner has not registered again since the query, which otherwise
    /// says nothing about it.
    fn is_as_queried(&self, Queried { place, capabilities, .. }: &Queried) -> bool {
        self.places.get(place).is_some_and(|waiting| Arc::ptr_eq(&waiting.capabilities, capabilities))
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<Waiting> {
        self.arrivals.remove(&place);
        self.places.remove(&place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Receiver = oneshot::Receiver<Result<Reservation, QueueUnreadable>>;

    /// A line in which each place waits for the queue of this number, with the receivers of its offers.
    fn line(places: &[(u64, usize)]) -> (Line, Vec<Queried>, Vec<Receiver>) {
        let (mut line, mut queried, mut receivers) = (Line::default(), Vec::new(), Vec::new());
        for (place, queue) in places.iter().copied() {
            let (offer, receiver) = oneshot::channel();
            let (runner_id, capabilities) = ("r".parse().unwrap(), Arc::default());
            queried.push(Queried { place, capabilities: Arc::clone(&capabilities), queue });
            line.places.insert(place, Waiting { runner_id, capabilities, offer, is_last_query: true });
            line.arrivals.insert(place);
            receivers.push(receiver);
        }
        (line, queried, receivers)
    }

    fn left(line: &Line) -> Vec<u64> {
        line.places.keys().copied().collect()
    }

    #[test]
    fn who_can_do_no_job_of_a_long_queue_leaves_while_others_are_served() {
        let (mut line, queried, mut receivers) = line(&[(1, 0), (2, 1), (3, 1)]);
        let mut offers = Offers::of(queried, &[(0, false), (1, true)]);
        assert!(line.hand_out(&mut offers, &Arc::default()));
        assert_eq!(left(&line), [3], "its queue may have one more job");
        assert!(receivers.remove(1).try_recv().is_ok());
        assert!(receivers.iter_mut().all(|receiver| receiver.try_recv().is_err()));
    }

    #[test]
    fn a_queue_of_which_nothing_can_be_taken_is_not_queried_again_at_once() {
        let (mut line, queried, _receivers) = line(&[(1, 0)]);
        assert!(!line.hand_out(&mut Offers::of(queried, &[(0, true)]), &Arc::default()));
        assert!(left(&line).is_empty());
    }

    #[test]
    fn a_query_that_fails_ends_no_wait_that_is_not_over() {
        let (mut line, queried, mut receivers) = line(&[(1, 0), (2, 0)]);
        line.places.get_mut(&2).unwrap().is_last_query = false;
        line.nothing_for(&queried[1]);
        line.query_failed();
        assert!(matches!(receivers[0].try_recv(), Ok(Err(QueueUnreadable))));
        assert!(matches!(receivers[1].try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        assert!(line.arrivals.iter().eq([&2]), "it has to be queried again before it is told of no job");
    }

    #[test]
    fn who_registers_again_during_a_query_waits_for_the_next_one() {
        let (mut line, queried, mut receivers) = line(&[(1, 0), (2, 1)]);
        line.places.values_mut().for_each(|waiting| waiting.capabilities = Arc::default());
        assert!(!line.hand_out(&mut Offers::of(queried, &[(1, false), (0, false)]), &Arc::default()));
        assert_eq!((left(&line), line.arrivals.len()), (vec![1, 2], 2));
        assert!(receivers.iter_mut().all(|receiver| receiver.try_recv().is_err()));
    }
}
