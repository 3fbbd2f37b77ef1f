//! Matches waiting runners with queued jobs: the long poll behind "claim the next job".
//!
//! All claims that wait in this process form one line, in order of arrival. (It is called a line here, since the
//! queue is that of jobs.) One task queries the job queue when it may have changed, and offers each job to the first
//! claim in the line that may have it; no other claim wakes. For a claim that just arrived, it first queries only
//! whether there is a job for it, and leaves the rest of the line alone if not. An offer is only a hint, since the
//! queue is a read model: the runner's claim still has to win, and one that loses goes back to its place in the line.
//!
//! `line` holds the waiting claims, `queue_changes` tells when the queue may have changed, `offers` queries it,
//! `reservations` keeps a job from being offered twice, and `copies` handles requests that arrive more than once.

mod copies;
mod line;
mod offers;
mod queue_changes;
mod reservations;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rivet_events::id::RunnerId;
use rivet_events::runner::{Capabilities, RunnerEvent};
use rivet_events::{Envelope, Event};
use rivet_projections::{QueryError, ReadModels};
use tokio::sync::{Notify, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::telemetry::chain;
use copies::Requests;
pub(crate) use copies::{ClaimPermit, RequestCopy, RequestName};
use line::{Line, Waiting};
use offers::Offers;
use queue_changes::QueueChanges;
pub(crate) use reservations::Reservation;
use reservations::Reservations;

/// How often the queue is polled without a reason: for hints that were lost, for events that could not be read or have
/// left the log unread, and for retries that were scheduled before this process started.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait until the read model shows what has just been recorded.
pub(crate) const READ_WAIT: Duration = Duration::from_secs(1);

/// The line of claims that wait in this process, and what offers jobs to them.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    line: Mutex<Line>,
    /// The number of the next place; numbers increase towards the end of the line.
    next_place: AtomicU64,
    arrived: Notify,
    queue_changes: QueueChanges,
    reservations: Arc<Reservations>,
    requests: Arc<Requests>,
}

/// Why the queue is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It may have changed.
    Queue,
    /// A claim has arrived.
    Arrival,
}

/// The time of a claim was up, and whether there is a job for it is not known.
#[derive(Debug, thiserror::Error)]
#[error("the queue cannot be read")]
pub(crate) struct QueueUnreadable;

/// A place in the line. Its owner keeps it from one offer to the next, so that a claim that loses waits on in front.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    dispatcher: &'a Dispatcher,
    number: u64,
    runner_id: RunnerId,
}

impl Dispatcher {
    /// Takes a place at the end of the line. It is only waited in during [`Place::next_offer`].
    pub(crate) fn queue_up(&self, runner_id: RunnerId) -> Place<'_> {
        let number = self.next_place.fetch_add(1, Ordering::Relaxed);
        Place { dispatcher: self, number, runner_id }
    }

    /// Registers one more copy of a request, which supersedes those that are waiting; see [`copies`].
    pub(crate) fn begin(&self, request: Option<RequestName>) -> Arc<RequestCopy> {
        self.requests.begin(request)
    }

    /// How many claims wait in the line.
    pub(crate) fn waiting(&self) -> usize {
        self.line().places.len()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers jobs to waiting claims until `shutdown`.
    pub(crate) async fn run(
        &self,
        read_models: ReadModels,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) {
        let mut changes = WatchStream::new(self.queue_changes.watch());
        let mut positions = read_models.watch();
        let mut reason = Reason::Queue;
        while !shutdown.is_cancelled() {
            let mut asked_at;
            loop {
                // What comes due while the queue is queried is not in the answer.
                asked_at = clock.now();
                match self.offer_jobs(reason, &read_models, &*clock).await {
                    Ok(true) => reason = Reason::Queue,
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "the queue cannot be read");
                        self.line().query_failed();
                        break;
                    }
                }
            }
            let due = self.queue_changes.next_due(asked_at).filter(|_| !self.line().places.is_empty());
            let pause = tokio::time::sleep(due.map_or(POLL_INTERVAL, |due| due.min(POLL_INTERVAL)));
            tokio::pin!(pause);
            reason = loop {
                tokio::select! {
                    () = &mut pause => break Reason::Queue,
                    () = self.arrived.notified() => break Reason::Arrival,
                    () = self.reservations.returned() => break Reason::Queue,
                    () = self.reservations.shown(&mut positions) => break Reason::Queue,
                    () = shutdown.cancelled() => return,
                    Some(freed_at) = changes.next() => {
                        if !self.line().places.is_empty() {
                            read_models.wait_for(freed_at, READ_WAIT).await;
                            break Reason::Queue;
                        }
                    }
                }
            };
        }
    }

    /// Notes what an event of the log changes for the claims in the line.
    pub(crate) fn note(&self, envelope: &Envelope) {
        if let Event::Job(event) = &envelope.event {
            self.queue_changes.note(envelope.position, event);
        } else if let Event::Runner(RunnerEvent::Registered(registered)) = &envelope.event {
            self.update_capabilities(&registered.runner_id, &registered.capabilities);
        }
    }

    /// Takes over the capabilities of a runner that has registered again while it waits. Its claims then count as just
    /// arrived, so that the queue is queried with what it can do now.
    fn update_capabilities(&self, runner_id: &RunnerId, capabilities: &Capabilities) {
        let Line { places, arrivals } = &mut *self.line();
        for (place, waiting) in places {
            if waiting.runner_id == *runner_id && *waiting.capabilities != *capabilities {
                waiting.capabilities = Arc::new(capabilities.clone());
                arrivals.insert(*place);
                self.arrived.notify_one();
            }
        }
    }

    /// Queries the queue, and offers the jobs in it to the claims in the line. Returns whether another query may have
    /// more for some of them.
    async fn offer_jobs(
        &self,
        reason: Reason,
        read_models: &ReadModels,
        clock: &dyn Clock,
    ) -> Result<bool, QueryError> {
        let reservations = &self.reservations;
        reservations.forget(read_models.position());
        if reason == Reason::Arrival {
            let arrivals = self.line().arrivals();
            let offers = Offers::to(arrivals, read_models, clock, reservations).await?;
            if offers.is_empty() {
                let mut line = self.line();
                offers.places.iter().for_each(|queried| line.nothing_for(queried));
                return Ok(false);
            }
        }
        // There is something for an arrival, but an earlier claim that may have it goes first.
        let everybody = self.line().everybody();
        let mut offers = Offers::to(everybody, read_models, clock, reservations).await?;
        Ok(self.line().hand_out(&mut offers, reservations))
    }
}

impl Place<'_> {
    /// Enters the line, and waits in it for a job that this runner should try to claim. `capabilities` are what it can
    /// do until it registers again. `None` if there was no job until `deadline`; however soon that is, the queue is
    /// queried once. Dropping the future gives up an offer that is on its way, but not the place.
    ///
    /// # Errors
    /// The last query of the queue failed.
    pub(crate) fn next_offer(
        &self,
        capabilities: Capabilities,
        deadline: tokio::time::Instant,
    ) -> impl Future<Output = Result<Option<Reservation>, QueueUnreadable>> {
        let (offer, mut offered) = oneshot::channel();
        let (runner_id, capabilities) = (self.runner_id.clone(), Arc::new(capabilities));
        let waiting = Waiting { runner_id, capabilities, offer, is_last_query: false };
        {
            let mut line = self.dispatcher.line();
            line.places.insert(self.number, waiting);
            line.arrivals.insert(self.number);
        }
        self.dispatcher.arrived.notify_one();
        async move {
            let offer = if let Ok(offer) = tokio::time::timeout_at(deadline, &mut offered).await {
                offer
            } else {
                self.deadline_passed();
                offered.await
            };
            // Without an answer: there was no job.
            offer.ok().transpose()
        }
    }

    /// Leaves the line, unless the queue has not been queried for this place yet: then after that query.
    fn deadline_passed(&self) {
        let mut line = self.dispatcher.line();
        if !line.arrivals.contains(&self.number) {
            line.remove(self.number);
        } else if let Some(waiting) = line.places.get_mut(&self.number) {
            waiting.is_last_query = true;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.dispatcher.line().remove(self.number);
    }
}
