//! What the queue has for the claims in the line: the jobs that each may have, in order, and how many places the
//! concurrency groups of these jobs have left.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rivet_events::id::JobId;
use rivet_projections::job_queue::{self, Covered, Demands, QueuedJob};
use rivet_projections::{QueryError, ReadModels};

use super::Capabilities;
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
    /// Its concurrency group, and the limit of running jobs.
    pub(super) group: Option<(String, u32)>,
}

impl Offer {
    fn of(job: QueuedJob) -> Self {
        let group = job.concurrency.map(|concurrency| (concurrency.group, concurrency.limit));
        Self { job_id: job.job_id, attempts: job.attempt, group }
    }
}

/// The jobs for the claims at some places.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// The places in the line, in order.
    pub(super) places: Vec<Queried>,
    queues: Vec<Queue>,
    /// How many jobs of each concurrency group run, or are reserved.
    taken: HashMap<String, u64>,
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
        let reserved = reservations.of_groups();
        let limit = CANDIDATES + reservations.len();
        let mut queues: Vec<Queue> = Vec::with_capacity(covered.len());
        for covered in &covered {
            let jobs = job_queue::offered(read_models, covered, &reserved, clock.now(), limit).await?;
            queues
                .push(Queue { is_cut: jobs.len() == limit, jobs: jobs.into_iter().map(Offer::of).collect() });
        }
        let offers = queues.iter().flat_map(|queue| &queue.jobs);
        let groups: BTreeSet<&str> =
            offers.filter_map(|offer| Some(offer.group.as_ref()?.0.as_str())).collect();
        let mut taken = job_queue::running_of_groups(read_models, &groups).await?;
        for (group, reserved) in reserved {
            *taken.entry(group).or_default() += reserved;
        }
        for queue in &mut queues {
            queue.jobs.retain(|offer| !reservations.contains(offer) && has_place(&taken, offer));
        }
        Ok(Self { places, queues, taken, is_any_taken: false })
    }

    /// Whether there is nothing for anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.jobs.is_empty())
    }

    /// Takes the first job of a queue. A concurrency group is given no more jobs than it has places, since an arbitrary
    /// one of them would win the last place.
    pub(super) fn take(&mut self, queue: usize, reservations: &Reservations) -> Option<Offer> {
        let queue = self.queues.get_mut(queue)?;
        let free = |offer: &Offer| !reservations.contains(offer) && has_place(&self.taken, offer);
        let offer = std::iter::from_fn(|| queue.jobs.pop_front()).find(free)?;
        self.is_any_taken = true;
        if let Some((group, _)) = &offer.group {
            *self.taken.entry(group.clone()).or_default() += 1;
        }
        Some(offer)
    }

    /// Whether another query may have more for this queue. Where nothing was taken since this one, it would return the
    /// same jobs again.
    pub(super) fn may_have_more(&self, queue: usize) -> bool {
        self.is_any_taken && self.queues.get(queue).is_some_and(|queue| queue.is_cut)
    }
}

fn has_place(taken: &HashMap<String, u64>, offer: &Offer) -> bool {
    let Some((group, limit)) = &offer.group else { return true };
    taken.get(group).is_none_or(|taken| *taken < u64::from(*limit))
}

/// Numbers what the runners at these places cover.
async fn by_covered(
    places: Places,
    read_models: &ReadModels,
) -> Result<(Vec<Queried>, Vec<Covered>), QueryError> {
    let is_restricted = places.iter().any(|(_, capabilities)| capabilities.is_some());
    let demands = if is_restricted { job_queue::demands(read_models).await? } else { Demands::default() };
    let (mut of_capabilities, mut numbers, mut all) = (HashMap::new(), HashMap::new(), Vec::new());
    let mut number = |capabilities: &Arc<Capabilities>| {
        let covered = demands.covered_by(capabilities.as_deref());
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
    use super::*;

    fn offer(group: &str, limit: u32) -> Offer {
        Offer { job_id: JobId::generate(), attempts: 0, group: Some((group.to_owned(), limit)) }
    }

    impl Offers {
        /// Queues of so many jobs, cut or not, for these places.
        pub(in crate::dispatch) fn of(places: Vec<Queried>, queues: &[(usize, bool)]) -> Self {
            let job = || Offer { job_id: JobId::generate(), attempts: 0, group: None };
            let jobs = |count| std::iter::repeat_with(job).take(count).collect();
            let queues = queues.iter().map(|(count, is_cut)| Queue { jobs: jobs(*count), is_cut: *is_cut });
            Self { places, queues: queues.collect(), ..Self::default() }
        }
    }

    fn offers(queue: &[&Offer], taken: &[(&str, u64)]) -> Offers {
        Offers {
            queues: vec![Queue { jobs: queue.iter().copied().cloned().collect(), is_cut: false }],
            taken: taken.iter().map(|(group, taken)| ((*group).to_owned(), *taken)).collect(),
            ..Offers::default()
        }
    }

    #[test]
    fn a_group_is_offered_as_many_jobs_as_it_has_places_in_order() {
        let (a1, a2, a3, b) = (offer("a", 3), offer("a", 3), offer("a", 3), offer("b", 1));
        let mut offers = offers(&[&a1, &a2, &a3, &b], &[("a", 1)]);
        let reservations = Reservations::default();
        let mut next = || offers.take(0, &reservations);
        assert_eq!([next(), next(), next(), next()], [Some(a1), Some(a2), Some(b), None]);
    }

    #[test]
    fn each_job_counts_with_the_limit_that_it_was_launched_with() {
        let (narrow, wide) = (offer("a", 1), offer("a", 2));
        let mut offers = offers(&[&narrow, &wide], &[("a", 1)]);
        assert_eq!(offers.take(0, &Reservations::default()), Some(wide));
    }
}
