//! Group commit: the one task of a process that appends to the log.
//!
//! It takes all appends that wait, commits them in one transaction, and answers each caller. While it commits, the
//! next batch gathers. So one sync to disk and one round trip serve all appends that came meanwhile, and no append
//! waits for a batch to fill. A database with [`Keeper::CONCURRENT_COMMITS`] over 1 gets the next batch before the
//! last one has ended, if enough appends wait for it.

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lru::LruCache;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::envelope::{Envelope, Position, Version};
use crate::event::Event;
use crate::job::JobEvent;
use crate::log::batch::{Batch, Committed, EncodedAppend};
use crate::log::keeper::Keeper;
use crate::log::recent::Recent;
use crate::log::threshold::ThresholdNotify;
use crate::log::waiting::{refuse_overtaken, take_batch};
use crate::log::{AppendError, Appended, CommittedBatch, LogObserver, LogSettings, StoreError};
use crate::stream::StreamId;

/// As many appends as cost the database about as much as a sync to disk and a round trip do.
const WORTH_A_SYNC: usize = 16;
/// Streams whose version is known after an append.
const KNOWN_STREAMS: NonZeroUsize = NonZeroUsize::new(32_768).unwrap();

/// How long such a version is relied on at most. A job can be purged two days after its end, so by then its version is not
/// known any more, even to a process that has not heard of the purge; [`may_follow_the_end`] is about what an ended job
/// still gets.
const KNOWN_FOR: Duration = Duration::from_hours(1);

/// An append in the queue, or in a batch.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) append: EncodedAppend,
    /// Where the answer goes; the caller may have left.
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its share of the bytes that the queue may hold, released with the answer.
    pub(super) room: OwnedSemaphorePermit,
    /// How many appends its batch may have: fewer each time that the database has refused a batch with it.
    pub(super) batch_appends: usize,
}

/// What the writer shares with the readers of its process: the last events, and the head of the log.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) recent: Mutex<Recent<Arc<Envelope>>>,
    pub(super) head: Arc<watch::Sender<Position>>,
}

impl Published {
    fn publish(&self, envelopes: Vec<(Arc<Envelope>, usize)>) {
        let Some((last, _)) = envelopes.last() else { return };
        let position = last.position;
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            for (envelope, bytes) in envelopes {
                recent.push(envelope.position, envelope, bytes);
            }
        }
        raise(&self.head, position);
    }
}

/// Moves a known head forward and wakes its watchers. Never moves it back.
pub(super) fn raise(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|known| {
        let higher = position > *known;
        *known = position.max(*known);
        higher
    });
}

/// The task that appends.
pub(super) struct Writer<K> {
    keeper: Arc<K>,
    queue: mpsc::Receiver<Queued>,
    backlog: Arc<ThresholdNotify>,
    published: Arc<Published>,
    settings: LogSettings,
    observer: Arc<dyn LogObserver>,
    /// Taken from the queue, but not in a batch yet: no more than fit in one batch, and those of batches that were refused.
    waiting: VecDeque<Queued>,
    /// The batches that are being committed, in the order in which they began.
    under_way: VecDeque<Arc<Vec<Queued>>>,
    /// The versions to which this process last moved streams, so that the next append to one needs no lookup. As a stream
    /// never shrinks unless its job is purged, a version stays a valid lower bound for [`KNOWN_FOR`], whoever else appends.
    versions: LruCache<StreamId, Version>,
    /// Since when `versions` is filled.
    known_since: Instant,
    /// How many appends were refused without a commit since the last batch.
    overtaken: usize,
}

/// How a batch ended, and how long it took.
struct Outcome {
    batch: Arc<Vec<Queued>>,
    committed: Result<Committed, StoreError>,
    took: Duration,
}

impl<K: Keeper> Writer<K> {
    pub(super) fn new(
        keeper: Arc<K>,
        queue: mpsc::Receiver<Queued>,
        backlog: Arc<ThresholdNotify>,
        published: Arc<Published>,
        settings: LogSettings,
        observer: Arc<dyn LogObserver>,
    ) -> Self {
        Self {
            keeper,
            queue,
            backlog,
            published,
            settings,
            observer,
            waiting: VecDeque::new(),
            under_way: VecDeque::new(),
            versions: LruCache::new(KNOWN_STREAMS),
            known_since: Instant::now(),
            overtaken: 0,
        }
    }

    /// Runs until the queue is closed and empty. `closing` closes it; so does dropping the log.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        let mut commits = FuturesUnordered::new();
        loop {
            self.take_in();
            let enough = self.worth_a_batch();
            if self.waiting.len() >= enough
                && let Some(batch) = self.next_batch()
            {
                commits.push(commit(Arc::clone(&self.keeper), batch));
                continue;
            }
            // Enough appends may wait that all depend on a batch under way. Then as many others have to come.
            let missing = enough.saturating_sub(self.waiting.len());
            self.backlog.set_threshold(if missing == 0 { enough } else { missing });
            tokio::select! {
                biased;
                Some(outcome) = commits.next() => {
                    self.answer(outcome);
                    // Lets the callers that were just answered append again, and join the next batch. If enough
                    // appends wait already, they do so while that batch commits.
                    if self.waiting.len() + self.queue.len() < WORTH_A_SYNC {
                        yield_now().await;
                    }
                }
                // Not woken by each append: callers that are about to join the next batch would miss it.
                () = self.backlog.reached(), if (1..K::CONCURRENT_COMMITS).contains(&commits.len()) => {}
                Some(next) = self.queue.recv(), if commits.is_empty() => self.waiting.push_back(next),
                () = closing.cancelled(), if !self.queue.is_closed() => self.queue.close(),
                else => break,
            }
        }
    }

    /// How many appends must wait before the next batch begins. Beside a batch under way, it must have at least
    /// [`WORTH_A_SYNC`] appends, and half as many as that one: small batches between large ones would spend most of
    /// their time on the sync to disk.
    fn worth_a_batch(&self) -> usize {
        match self.under_way.back() {
            None => 1,
            Some(last) if self.under_way.len() < K::CONCURRENT_COMMITS => WORTH_A_SYNC.max(last.len() / 2),
            Some(_) => usize::MAX,
        }
    }

    /// Takes appends from the queue, up to one batch of them.
    fn take_in(&mut self) {
        while self.waiting.len() < self.settings.batch_appends {
            let Ok(next) = self.queue.try_recv() else { break };
            self.waiting.push_back(next);
        }
    }

    /// Makes a batch of the waiting appends. `None` if all of them were refused, or wait for a batch under way.
    fn next_batch(&mut self) -> Option<Arc<Vec<Queued>>> {
        if self.known_since.elapsed() > KNOWN_FOR {
            self.versions.clear();
            self.known_since = Instant::now();
        }
        self.overtaken += refuse_overtaken(&mut self.waiting, &mut self.versions);
        let mut batch = take_batch(&mut self.waiting, &self.under_way, self.settings.batch_bytes);
        if batch.is_empty() {
            return None;
        }
        for write in batch.iter_mut().flat_map(|queued| &mut queued.append.writes) {
            let is_known = self.versions.get(&write.stream).is_some_and(|known| *known >= write.expected);
            write.lookup = write.is_condition() || !is_known;
        }
        let batch = Arc::new(batch);
        self.under_way.push_back(Arc::clone(&batch));
        Some(batch)
    }

    /// Answers the callers of a batch that has ended. A batch can overtake an earlier one on its way to the database;
    /// its answer then most often comes first too. So events are published in the order of their positions, as
    /// [`Recent`] needs it. Where two answers come in the other order, `Recent` starts anew, and the events before are
    /// read from the table.
    fn answer(&mut self, Outcome { batch, committed, took }: Outcome) {
        self.under_way.retain(|other| !Arc::ptr_eq(other, &batch));
        let batch = Arc::into_inner(batch).expect("invariant: a batch that has ended is nobody else's");
        if batch.len() > 1 && committed.as_ref().is_err_and(K::is_refusal) {
            self.halve(batch);
            return;
        }
        let (appends, callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|queued| (queued.append, (queued.answer, queued.room))).unzip();
        let answers = match committed {
            Ok(committed) => self.settle(appends, &committed, took),
            Err(error) => {
                self.observer.failed(appends.len());
                tracing::warn!(error, appends = appends.len(), "a batch of appends was not committed");
                let error: Arc<dyn std::error::Error + Send + Sync> = error.into();
                let unavailable =
                    || Err(AppendError::Unavailable(Box::new(Arc::clone(&error)) as StoreError));
                appends.iter().map(|_| unavailable()).collect()
            }
        };
        for ((answer, room), outcome) in callers.into_iter().zip(answers) {
            drop(room);
            // A caller that has left does not want its answer; its events are in the log all the same.
            let _ = answer.send(outcome);
        }
    }

    /// Puts the appends of a batch that the database has refused back in front, for batches of half its size: one that
    /// cannot be stored fails alone in the end.
    fn halve(&mut self, batch: Vec<Queued>) {
        let batch_appends = batch.len() / 2;
        for queued in batch.into_iter().rev() {
            self.waiting.push_front(Queued { batch_appends, ..queued });
        }
    }

    /// Gives the stored events their positions, publishes them, and returns the answer of each append.
    fn settle(
        &mut self,
        appends: Vec<EncodedAppend>,
        committed: &Committed,
        took: Duration,
    ) -> Vec<Result<Appended, AppendError>> {
        let mut stale_writes = committed.stale_writes.iter().copied().peekable();
        let mut position = committed.base;
        let mut first_write = 0;
        let mut published = Vec::new();
        let mut answers = Vec::with_capacity(appends.len());
        for mut append in appends {
            let end = first_write + append.writes.len();
            let mut stale = None;
            while let Some(place) = stale_writes.next_if(|place| *place < end) {
                stale.get_or_insert(place - first_write);
            }
            first_write = end;
            if let Some(stale) = stale {
                let write = append.writes.swap_remove(stale);
                answers.push(Err(AppendError::Conflict { stream: write.stream, expected: write.expected }));
                continue;
            }
            let mut envelopes = Vec::with_capacity(append.events.len());
            for event in append.events {
                position = Position(position.0 + 1);
                let envelope = Arc::new(Envelope { position, ..event.envelope });
                published.push((Arc::clone(&envelope), event.payload.len()));
                envelopes.push(envelope);
            }
            for write in append.writes {
                self.versions.put(write.stream, write.reached);
            }
            for late in envelopes.iter().filter(|envelope| may_follow_the_end(&envelope.event)) {
                self.versions.pop(&late.stream);
            }
            answers.push(Ok(Appended { envelopes }));
        }
        let events = published.len();
        self.published.publish(published);
        self.observer.committed(&CommittedBatch {
            appends: answers.len(),
            events,
            conflicts: answers.iter().filter(|answer| answer.is_err()).count()
                + mem::take(&mut self.overtaken),
            waiting: self.waiting.len() + self.queue.len(),
            took,
        });
        answers
    }
}

/// Whether a job may get this event long after its end, and so shortly before it is purged.
fn may_follow_the_end(event: &Event) -> bool {
    matches!(event, Event::Job(JobEvent::ReportRefused(_) | JobEvent::Purged(_)))
}

async fn commit<K: Keeper>(keeper: Arc<K>, batch: Arc<Vec<Queued>>) -> Outcome {
    let began = Instant::now();
    let committed = keeper.commit(Batch(&batch)).await;
    Outcome { batch, committed, took: began.elapsed() }
}
