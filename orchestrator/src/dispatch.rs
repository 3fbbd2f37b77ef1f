//! Brings waiting runners and waiting jobs together: a long poll that costs nothing while there is nothing.
//!
//! All claims that wait in this process stand in one line, in order of arrival. One task looks at the queue when it
//! may have changed, and hands each job to the first in line that may have it; nobody else wakes. The hand-over is a
//! hint like every read model: the runner's claim still has to win, and one that loses goes back to its place.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rivet_events::id::JobId;
use rivet_events::job::JobEvent;
use rivet_events::log::EventLog;
use rivet_events::{Event, Position};
use rivet_projections::job_queue::{self, QueuedJob};
use rivet_projections::{QueryError, ReadModels};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::telemetry::chain;

/// How often the queue is looked at without a reason: for retries that come due, and hints that were lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for the read model to show what has just been recorded.
const READ_WAIT: Duration = Duration::from_secs(1);
/// How long a job that was handed out is not handed to another.
const HANDED_FOR: Duration = Duration::from_secs(2);
/// Jobs that are looked at for one set of capabilities at once.
const CANDIDATES: usize = 200;
/// Events that are looked through for a reason at once.
const BATCH: usize = 1_000;

/// What a runner can do; `None` is everything.
type Capabilities = Option<Vec<String>>;

/// The line of claims that wait in this process.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    line: Mutex<BTreeMap<u64, Waiting>>,
    next_place: AtomicU64,
    arrived: Notify,
}

#[derive(Debug)]
struct Waiting {
    capabilities: Arc<Capabilities>,
    offer: oneshot::Sender<JobId>,
    /// Whether the queue was looked at since it stands here, and had nothing for it.
    passed_over: bool,
    /// Whether its time is up: it leaves when it is passed over.
    is_last_look: bool,
}

/// A place in the line, kept from one offer to the next.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    dispatcher: &'a Dispatcher,
    number: u64,
    capabilities: Arc<Capabilities>,
}

impl Dispatcher {
    /// The place at the end of the line.
    pub(crate) fn queue_up(&self, capabilities: Capabilities) -> Place<'_> {
        let number = self.next_place.fetch_add(1, Ordering::Relaxed);
        Place { dispatcher: self, number, capabilities: Arc::new(capabilities) }
    }

    fn line(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
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
        let mut seen = *heads.borrow_and_update();
        let mut handed = HandedOut::default();
        while !shutdown.is_cancelled() {
            while !self.line().is_empty() {
                match self.hand_out(&read_models, &*clock, &mut handed).await {
                    // There may be more than one look shows.
                    Ok(1..) => {}
                    Ok(0) => break,
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "the queue cannot be read");
                        self.line().retain(|_, waiting| !waiting.is_last_look);
                        break;
                    }
                }
            }
            let pause = tokio::time::sleep(LOOK_EVERY);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    () = self.arrived.notified() => break,
                    () = shutdown.cancelled() => return,
                    changed = heads.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let head = *heads.borrow_and_update();
                        let mattered = self.line().is_empty() || matters(&*log, &mut seen, head).await;
                        seen = seen.max(head);
                        if mattered && !self.line().is_empty() {
                            read_models.wait_for(head, READ_WAIT).await;
                            break;
                        }
                    }
                }
            }
        }
    }

    /// One look at the queue for each set of capabilities in the line; then each job to the first that may have it.
    /// Says how many were handed out.
    async fn hand_out(
        &self,
        read_models: &ReadModels,
        clock: &dyn Clock,
        handed: &mut HandedOut,
    ) -> Result<usize, QueryError> {
        handed.forget_old();
        let (places, sets): (Vec<u64>, HashSet<Arc<Capabilities>>) =
            self.line().iter().map(|(place, waiting)| (*place, Arc::clone(&waiting.capabilities))).unzip();
        let mut queues: HashMap<Arc<Capabilities>, VecDeque<Offer>> = HashMap::new();
        for set in sets {
            let limit = CANDIDATES + handed.0.len();
            let jobs = job_queue::candidates(read_models, set.as_deref(), true, clock.now(), limit).await?;
            queues.insert(set, jobs.iter().map(Offer::of).collect());
        }
        let mut line = self.line();
        let mut count = 0;
        // Who came during the look has its turn in the next one.
        for place in &places {
            let Some(queue) = line.get(place).and_then(|waiting| queues.get_mut(&waiting.capabilities))
            else {
                continue;
            };
            while queue.front().is_some_and(|offer| handed.0.contains_key(offer)) {
                queue.pop_front();
            }
            let Some(offer) = queue.front().copied() else { continue };
            // One that has gone away leaves the job to the next.
            if line.remove(place).is_some_and(|waiting| waiting.offer.send(offer.job_id).is_ok()) {
                handed.0.insert(offer, Instant::now());
                count += 1;
            }
        }
        if count == 0 {
            pass_over(&mut line, &places);
        }
        Ok(count)
    }
}

/// Notes that there is nothing for these places; who only waited for that leaves.
fn pass_over(line: &mut BTreeMap<u64, Waiting>, places: &[u64]) {
    for place in places {
        if let Some(waiting) = line.get_mut(place) {
            waiting.passed_over = true;
            if waiting.is_last_look {
                line.remove(place);
            }
        }
    }
}

/// A job as it waits after so many attempts: when it comes back, it is offered anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Offer {
    job_id: JobId,
    attempts: u32,
}

impl Offer {
    fn of(job: &QueuedJob) -> Self {
        Self { job_id: job.job_id, attempts: job.attempt }
    }
}

/// What was handed out a moment ago, and when: the queue still shows it until the claim is recorded.
#[derive(Debug, Default)]
struct HandedOut(HashMap<Offer, Instant>);

impl HandedOut {
    fn forget_old(&mut self) {
        self.0.retain(|_, at| at.elapsed() < HANDED_FOR);
    }
}

/// Whether anything up to `head` may have made a job claimable.
async fn matters(log: &dyn EventLog, seen: &mut Position, head: Position) -> bool {
    while *seen < head {
        let Ok(batch) = log.read_all(*seen, BATCH).await else { return true };
        let Some(last) = batch.last() else { return true };
        *seen = last.position;
        if batch.iter().any(|envelope| frees_a_job(&envelope.event)) {
            return true;
        }
    }
    false
}

fn frees_a_job(event: &Event) -> bool {
    match event {
        Event::Job(event) => match event {
            // The end of a job may free a place in its group.
            JobEvent::Launched(_)
            | JobEvent::Requeued(_)
            | JobEvent::Completed(_)
            | JobEvent::Cancelled(_)
            | JobEvent::TimedOut(_) => true,
            JobEvent::Claimed(_)
            | JobEvent::Started(_)
            | JobEvent::LeaseExpired(_)
            | JobEvent::CancelRequested(_)
            | JobEvent::ReportRefused(_) => false,
        },
        Event::Pipeline(_)
        | Event::JobLog(_)
        | Event::Runner(_)
        | Event::Claim(_)
        | Event::Group(_)
        | Event::Unreadable(_) => false,
    }
}

impl Place<'_> {
    /// The next job that this runner should try to claim; `None` if there is none until `deadline`. However soon
    /// that is, the queue is looked at once. Dropping the future gives the turn away, not the place.
    pub(crate) async fn next_offer(&self, deadline: tokio::time::Instant) -> Option<JobId> {
        let (offer, mut offered) = oneshot::channel();
        let capabilities = Arc::clone(&self.capabilities);
        let waiting = Waiting { capabilities, offer, passed_over: false, is_last_look: false };
        self.dispatcher.line().insert(self.number, waiting);
        self.dispatcher.arrived.notify_one();
        if let Ok(offer) = tokio::time::timeout_at(deadline, &mut offered).await {
            return offer.ok();
        }
        self.wait_no_longer();
        offered.await.ok()
    }

    fn wait_no_longer(&self) {
        let mut line = self.dispatcher.line();
        match line.get_mut(&self.number) {
            Some(waiting) if waiting.passed_over => {
                line.remove(&self.number);
            }
            Some(waiting) => waiting.is_last_look = true,
            // It has its offer.
            None => {}
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.dispatcher.line().remove(&self.number);
    }
}
