//! Brings waiting runners and waiting jobs together: a long poll that costs nothing while there is nothing.
//!
//! All claims that wait in this process stand in one line, in order of arrival. One task looks at the queue when it
//! may have changed, and hands each job to the first in line that may have it; nobody else wakes. For somebody new it
//! looks whether there is anything for him, and leaves the rest of the line alone if not. The hand-over is a hint like
//! every read model: the runner's claim still has to win, and one that loses goes back to its place.

mod copies;
mod handed;
mod news;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rivet_events::id::RunnerId;
use rivet_events::log::EventLog;
use rivet_projections::job_queue;
use rivet_projections::{QueryError, ReadModels};
use tokio::sync::{Notify, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::telemetry::chain;
use copies::Requests;
pub(crate) use copies::{RequestCopy, RequestName, Turn};
pub(crate) use handed::Offered;
use handed::{HandedOut, Offer};
use news::News;

/// How often the queue is looked at without a reason: for hints that were lost, and retries from before its start.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for the read model to show what has just been recorded.
const READ_WAIT: Duration = Duration::from_secs(1);
/// Jobs that are looked at for one set of capabilities at once.
const CANDIDATES: usize = 200;

/// What a runner can do; `None` is everything.
type Capabilities = Option<Vec<String>>;

/// The line of claims that wait in this process.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    line: Mutex<Line>,
    next_place: AtomicU64,
    arrived: Notify,
    handed: Arc<HandedOut>,
    requests: Arc<Requests>,
}

#[derive(Debug, Default)]
struct Line {
    places: BTreeMap<u64, Waiting>,
    /// Those for whom the queue has not been looked at yet.
    arrivals: BTreeSet<u64>,
}

#[derive(Debug)]
struct Waiting {
    runner_id: RunnerId,
    capabilities: Arc<Capabilities>,
    offer: oneshot::Sender<Offered>,
    /// Whether its time is up: it leaves when it is passed over.
    is_last_look: bool,
}

/// Why the queue is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It may have changed.
    Queue,
    /// Somebody came.
    Arrival,
}

/// A place in the line, kept from one offer to the next.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    dispatcher: &'a Dispatcher,
    number: u64,
    runner_id: RunnerId,
}

impl Dispatcher {
    /// The place at the end of the line.
    pub(crate) fn queue_up(&self, runner_id: RunnerId) -> Place<'_> {
        let number = self.next_place.fetch_add(1, Ordering::Relaxed);
        Place { dispatcher: self, number, runner_id }
    }

    /// One more copy of a request, which supersedes those that wait; see [`copies`].
    pub(crate) fn begin(&self, request: Option<RequestName>) -> Arc<RequestCopy> {
        self.requests.begin(request)
    }

    /// How many claims stand in the line.
    pub(crate) fn waiting(&self) -> usize {
        self.line().places.len()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out jobs until `shutdown`.
    pub(crate) async fn run(
        &self,
        log: Arc<dyn EventLog>,
        read_models: ReadModels,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) {
        let mut heads = log.watch();
        let mut news = News::after(*heads.borrow_and_update(), log);
        let mut heads = WatchStream::from_changes(heads);
        let mut reason = Reason::Queue;
        while !shutdown.is_cancelled() {
            while !self.line().places.is_empty() {
                match self.look(reason, &read_models, &*clock).await {
                    // There may be more than one look shows.
                    Ok(1..) => reason = Reason::Queue,
                    Ok(0) => break,
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "the queue cannot be read");
                        self.line().places.retain(|_, waiting| !waiting.is_last_look);
                        break;
                    }
                }
            }
            let due = news.next_due(clock.now()).filter(|_| !self.line().places.is_empty());
            let pause = tokio::time::sleep(due.map_or(LOOK_EVERY, |due| due.min(LOOK_EVERY)));
            tokio::pin!(pause);
            reason = loop {
                tokio::select! {
                    () = &mut pause => break Reason::Queue,
                    () = self.arrived.notified() => break Reason::Arrival,
                    () = self.handed.returned() => break Reason::Queue,
                    () = shutdown.cancelled() => return,
                    head = heads.next() => {
                        let Some(head) = head else { return };
                        let mattered = news.read_until(head, self).await;
                        if mattered && !self.line().places.is_empty() {
                            read_models.wait_for(head, READ_WAIT).await;
                            break Reason::Queue;
                        }
                    }
                }
            };
        }
    }

    /// Has those who wait under names that have registered anew be offered what these can do now.
    fn registered(&self, capabilities: &HashMap<&RunnerId, &Capabilities>) {
        let Line { places, arrivals } = &mut *self.line();
        for (place, waiting) in places {
            if let Some(now) = capabilities.get(&waiting.runner_id)
                && *waiting.capabilities != **now
            {
                waiting.capabilities = Arc::new((*now).clone());
                arrivals.insert(*place);
                self.arrived.notify_one();
            }
        }
    }

    /// Looks at the queue, and hands out what is there. Says how many jobs that were.
    async fn look(
        &self,
        reason: Reason,
        read_models: &ReadModels,
        clock: &dyn Clock,
    ) -> Result<usize, QueryError> {
        let handed = &self.handed;
        handed.forget_old();
        if reason == Reason::Arrival {
            let arrivals = self.line().arrivals();
            let offers = offers(&arrivals, read_models, clock, handed).await?;
            if offers.values().all(VecDeque::is_empty) {
                self.line().pass_over(&arrivals);
                return Ok(0);
            }
        }
        // Whoever came first goes first, also before the one for whom it was looked.
        let everybody = self.line().everybody();
        let mut offers = offers(&everybody, read_models, clock, handed).await?;
        let mut line = self.line();
        let count = line.hand_out(&everybody, &mut offers, handed);
        if count == 0 {
            line.pass_over(&everybody);
        }
        Ok(count)
    }
}

/// Places in the line, in order, and what who stands there can do. Who comes during a look has its turn in the next.
type Places = Vec<(u64, Arc<Capabilities>)>;
/// What may be claimed with each set of capabilities, in order.
type Offers = HashMap<Arc<Capabilities>, VecDeque<Offer>>;

async fn offers(
    places: &Places,
    read_models: &ReadModels,
    clock: &dyn Clock,
    handed: &HandedOut,
) -> Result<Offers, QueryError> {
    let sets: HashSet<&Arc<Capabilities>> = places.iter().map(|(_, capabilities)| capabilities).collect();
    let mut offers = Offers::new();
    for set in sets {
        let limit = CANDIDATES + handed.len();
        let jobs = job_queue::candidates(read_models, set.as_deref(), true, clock.now(), limit).await?;
        let news = jobs.iter().map(Offer::of).filter(|offer| !handed.contains(offer));
        offers.insert(Arc::clone(set), news.collect());
    }
    Ok(offers)
}

impl Line {
    fn arrivals(&self) -> Places {
        let waiting = self.arrivals.iter().filter_map(|place| self.places.get_key_value(place));
        waiting.map(|(place, waiting)| (*place, Arc::clone(&waiting.capabilities))).collect()
    }

    fn everybody(&self) -> Places {
        self.places.iter().map(|(place, waiting)| (*place, Arc::clone(&waiting.capabilities))).collect()
    }

    /// Each offer to the first that may have it.
    fn hand_out(&mut self, places: &Places, offers: &mut Offers, handed: &Arc<HandedOut>) -> usize {
        let mut count = 0;
        for (place, capabilities) in places {
            let Some(queue) = offers.get_mut(capabilities) else { continue };
            while queue.front().is_some_and(|offer| handed.contains(offer)) {
                queue.pop_front();
            }
            let Some(offer) = queue.front().copied() else { continue };
            // One that has gone away leaves the job to the next.
            if self.remove(*place).is_some_and(|waiting| waiting.offer.send(handed.hand(offer)).is_ok()) {
                count += 1;
            }
        }
        count
    }

    /// Notes that there is nothing for these places; who only waited for that leaves.
    fn pass_over(&mut self, places: &Places) {
        for (place, _) in places {
            self.arrivals.remove(place);
            if self.places.get(place).is_some_and(|waiting| waiting.is_last_look) {
                self.places.remove(place);
            }
        }
    }

    fn remove(&mut self, place: u64) -> Option<Waiting> {
        self.arrivals.remove(&place);
        self.places.remove(&place)
    }
}

impl Place<'_> {
    /// The next job that this runner should try to claim with what it can do, until it registers anew; `None` if there is
    /// none until `deadline`. However soon that is, the queue is looked at once. Dropping the future gives the turn away,
    /// not the place.
    pub(crate) async fn next_offer(
        &self,
        capabilities: Capabilities,
        deadline: tokio::time::Instant,
    ) -> Option<Offered> {
        let (offer, mut offered) = oneshot::channel();
        let (runner_id, capabilities) = (self.runner_id.clone(), Arc::new(capabilities));
        let waiting = Waiting { runner_id, capabilities, offer, is_last_look: false };
        {
            let mut line = self.dispatcher.line();
            line.places.insert(self.number, waiting);
            line.arrivals.insert(self.number);
        }
        self.dispatcher.arrived.notify_one();
        if let Ok(offer) = tokio::time::timeout_at(deadline, &mut offered).await {
            return offer.ok();
        }
        self.wait_no_longer();
        offered.await.ok()
    }

    fn wait_no_longer(&self) {
        let mut line = self.dispatcher.line();
        if !line.arrivals.contains(&self.number) {
            line.remove(self.number);
        } else if let Some(waiting) = line.places.get_mut(&self.number) {
            waiting.is_last_look = true;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.dispatcher.line().remove(self.number);
    }
}
