//! What the queue has for the claims in the line: the jobs that each may have, in order, and how many places the
//! concurrency groups of these jobs have left.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rivet_events::id::JobId;
use rivet_events::job::Concurrency;
use rivet_events::runner::Capabilities;
use rivet_projections::job_queue::{self, Covered, Demands, Occupancy, QueuedJob};
use rivet_projections::{QueryError, ReadModels};

use super::reservations::Reservations;
use crate::clock::Clock;

/// Jobs that one query returns at most, besides those that are reserved.
const CANDIDATES: usize = 200;

/// Places in the line, in order, with the capabilities of their runners, as they were before a query. A claim that
/// arrives during the query has to wait for the next one.
pub(super) type Places = Vec<(u64, Arc<Capabilities>)>;

/// A place in the line, as it was before a query.
#[derive(Debug, Clone)]
pub(super) struct Queried {
    pub(super) place: u64,
    pub(super) capabilities: Arc<Capabilities>,
    /// The number of its queue: runners that cover the same demands have the same one.
    pub(super) queue: usize,
}

/// A queued job, as it is after so many attempts. One that is queued again after an attempt is another offer, which
/// no old reservation hides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Offer {
    pub(super) job_id: JobId,
    pub(super) attempts: u32,
    /// The group whose limit it shares.
    pub(super) concurrency: Option<Concurrency>,
}

impl Offer {
    fn of(job: QueuedJob) -> Self {
        Self { job_id: job.job_id, attempts: job.attempt, concurrency: job.concurrency }
    }
}

/// The jobs for the claims at some places.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// The places in the line, in order.
    pub(super) places: Vec<Queried>,
    queues: Vec<Queue>,
    /// By jobs that run, or are reserved.
    occupancy: Occupancy,
    /// Whether a job was taken since the query.
    is_any_taken: bool,
}

/// The jobs for runners that cover the same demands.
#[derive(Debug, Default)]
struct Queue {
    /// In the order of the queue of all.
    jobs: VecDeque<Offer>,
    /// Whether there may be more than one query returns.
    is_cut: bool,
}

impl Offers {
    /// Queries the queue once for all runners that cover the same demands.
    pub(super) async fn to(
        places: Places,
        read_models: &ReadModels,
        clock: &dyn Clock,
        reservations: &Reservations,
    ) -> Result<Self, QueryError> {
        let (places, covered) = by_covered(places, read_models).await?;
        // Before the query: what it shows as running by then counts twice. Then too little is offered, but the queue is
        // queried again when the claim is known to be shown.
        let reserved = reservations.occupancy();
        let limit = CANDIDATES + reservations.len();
        let mut queues: Vec<Queue> = Vec::with_capacity(covered.len());
        for covered in &covered {
            let jobs = job_queue::offered(read_models, covered, &reserved, clock.now(), limit).await?;
            queues
                .push(Queue { is_cut: jobs.len() == limit, jobs: jobs.into_iter().map(Offer::of).collect() });
        }
        let offers = queues.iter().flat_map(|queue| &queue.jobs);
        let groups = offers.filter_map(|offer| offer.concurrency.as_ref());
        let occupancy = reserved.with_running(read_models, groups).await?;
        for queue in &mut queues {
            let has_place = |offer: &Offer| occupancy.has_place(offer.concurrency.as_ref());
            queue.jobs.retain(|offer| !reservations.contains(offer) && has_place(offer));
        }
        Ok(Self { places, queues, occupancy, is_any_taken: false })
    }

    /// Whether there is nothing for anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.jobs.is_empty())
    }

    /// Takes the first job of a queue. A concurrency group is given no more jobs than it has places, since an arbitrary
    /// one of them would win the last place.
    pub(super) fn take(&mut self, queue: usize, reservations: &Reservations) -> Option<Offer> {
        let queue = self.queues.get_mut(queue)?;
        let take =
            |offer: &Offer| !reservations.contains(offer) && self.occupancy.take(offer.concurrency.as_ref());
        let offer = std::iter::from_fn(|| queue.jobs.pop_front()).find(take)?;
        self.is_any_taken = true;
        Some(offer)
    }

    /// Whether another query may have more for this queue. Where nothing was taken since this one, it would return the
    /// same jobs again.
    pub(super) fn may_have_more(&self, queue: usize) -> bool {
        self.is_any_taken && self.queues.get(queue).is_some_and(|queue| queue.is_cut)
    }
}

/// Numbers what the runners at these places cover.
async fn by_covered(
    places: Places,
    read_models: &ReadModels,
) -> Result<(Vec<Queried>, Vec<Covered>), QueryError> {
    let is_restricted = places.iter().any(|(_, capabilities)| capabilities.0.is_some());
    let demands = if is_restricted { job_queue::demands(read_models).await? } else { Demands::default() };
    let (mut of_capabilities, mut numbers, mut all) = (HashMap::new(), HashMap::new(), Vec::new());
    let mut number = |capabilities: &Arc<Capabilities>| {
        let covered = demands.covered_by(capabilities);
        *numbers.entry(covered).or_insert_with_key(|covered: &Covered| {
            all.push(covered.clone());
            all.len() - 1
        })
    };
    let numbered = places
        .into_iter()
        .map(|(place, capabilities)| {
            let queue = of_capabilities.entry(Arc::clone(&capabilities)).or_insert_with_key(&mut number);
            Queried { place, capabilities, queue: *queue }
        })
        .collect();
    Ok((numbered, all))
}

#[cfg(test)]
mod tests {
    use rivet_events::pipeline::ConcurrencyPolicy;

    use super::*;

    fn offer(group: &str, limit: u32) -> Offer {
        let concurrency = Concurrency { group: group.to_owned(), limit, policy: ConcurrencyPolicy::Queue };
        Offer { job_id: JobId::generate(), attempts: 0, concurrency: Some(concurrency) }
    }

    impl Offers {
        /// Queues of so many jobs, cut or not, for these places.
        pub(in crate::dispatch) fn of(places: Vec<Queried>, queues: &[(usize, bool)]) -> Self {
            let job = || Offer { job_id: JobId::generate(), attempts: 0, concurrency: None };
            let jobs = |count| std::iter::repeat_with(job).take(count).collect();
            let queues = queues.iter().map(|(count, is_cut)| Queue { jobs: jobs(*count), is_cut: *is_cut });
            Self { places, queues: queues.collect(), ..Self::default() }
        }
    }

    #[test]
    fn a_group_is_offered_as_many_jobs_as_it_has_places_in_order() {
        let [a1, a2, a3, running] = [(); 4].map(|()| offer("a", 3));
        let b = offer("b", 1);
        let jobs = VecDeque::from([a1.clone(), a2.clone(), a3, b.clone()]);
        let mut offers = Offers {
            queues: vec![Queue { jobs, is_cut: false }],
            occupancy: running.concurrency.iter().collect(),
            ..Offers::default()
        };
        let reservations = Reservations::default();
        let mut next = || offers.take(0, &reservations);
        assert_eq!([next(), next(), next(), next()], [Some(a1), Some(a2), Some(b), None]);
    }
}
