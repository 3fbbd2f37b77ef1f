//! The catch-up loop: read the batch after the checkpoint, fold it, write rows and checkpoint together, and let
//! readers know.
//!
//! Read models at the same position go forward together, fed by one read. One that stands elsewhere catches up by
//! itself, and joins. Nothing stops the loop: an event that cannot be applied parks its stream, and a database that
//! does not answer is asked again.

use std::sync::PoisonError;
use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::StoreError;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch;
use crate::checkpoint::Checkpoint;
use crate::generation;
use crate::lease::Lease;
use crate::read_models::ReadModels;

/// Events in one batch.
const BATCH: usize = 1000;
/// How often to look for events of other processes, of which the log may not tell.
const POLL_SHARED: Duration = Duration::from_millis(25);
const POLL_ALONE: Duration = Duration::from_millis(500);
/// How often a process that does not project looks at the checkpoints, while somebody waits and otherwise.
const FOLLOW_AWAITED: Duration = Duration::from_millis(20);
const FOLLOW_IDLE: Duration = Duration::from_millis(500);
/// How often to look for what other processes did: a rebuild that switched, tables left behind.
const HOUSEKEEPING: Duration = Duration::from_secs(2);
/// Events of a batch from which on a log in the same SQLite file is waited for.
const CROWD: usize = 8;
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// Short: after the database comes back, readers wait for this.
const LAST_RETRY: Duration = Duration::from_secs(1);

impl ReadModels {
    /// Keeps the read models up to date until `shutdown`; of several processes over one database, one does so and
    /// the others follow. Also rebuilds what an older build has left.
    pub async fn run(&self, shutdown: CancellationToken) {
        let lease = Lease::new(&self.inner.store, &self.inner.leading);
        tokio::join!(
            lease.keep(&shutdown),
            self.project(lease.watch(), &shutdown),
            self.renew(lease.watch(), &shutdown),
        );
    }

    async fn project(&self, mut held: watch::Receiver<bool>, shutdown: &CancellationToken) {
        let mut projector = Projector::new(self);
        let mut retry = FIRST_RETRY;
        while !shutdown.is_cancelled() {
            let owner = *held.borrow_and_update();
            let step = if owner { projector.step().await } else { projector.follow().await };
            let pause = match step {
                Ok(Step::More) => {
                    retry = FIRST_RETRY;
                    continue;
                }
                Ok(Step::Idle(pause)) => {
                    retry = FIRST_RETRY;
                    pause
                }
                Err(error) => {
                    tracing::warn!(error = &*error, "the projector cannot go on: it will try again");
                    projector.live.clear();
                    tokio::select! {
                        () = tokio::time::sleep(retry) => {}
                        () = shutdown.cancelled() => {}
                    }
                    retry = LAST_RETRY.min(retry * 2);
                    continue;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = projector.head.changed(), if owner => {
                    if changed.is_err() {
                        // The log is gone, and so is this process, soon.
                        shutdown.cancelled().await;
                    }
                }
                () = self.inner.wanted.notified(), if !owner => {}
                _ = held.changed(), if self.inner.store.is_shared() => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

/// What a step leaves to do.
enum Step {
    /// There may be more to read.
    More,
    /// Nothing for a while.
    Idle(Duration),
}

struct Projector<'a> {
    read_models: &'a ReadModels,
    head: watch::Receiver<Position>,
    /// Live generations, highest position first; empty where they must be read again.
    live: Vec<Checkpoint>,
    housekeeping: Instant,
}

impl<'a> Projector<'a> {
    fn new(read_models: &'a ReadModels) -> Self {
        Self {
            read_models,
            head: read_models.inner.log.watch(),
            live: Vec::new(),
            housekeeping: Instant::now(),
        }
    }

    /// One batch for each group of read models that stand together.
    async fn step(&mut self) -> Result<Step, StoreError> {
        let inner = &self.read_models.inner;
        if self.live.is_empty() || self.housekeeping.elapsed() > HOUSEKEEPING {
            self.housekeep().await?;
        }
        // Before reading, so that no change goes unnoticed.
        let head = *self.head.borrow_and_update();
        self.live.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.position));
        let mut ahead: Option<Position> = None;
        let mut lost = false;
        let (began, mut read) = (Instant::now(), 0);
        for group in self.live.chunk_by_mut(|a, b| a.position == b.position) {
            let from = group.first().map(|first| first.position).unwrap_or_default();
            let gap = ahead.map_or(u64::MAX, |ahead| ahead.0.saturating_sub(from.0));
            let limit = usize::try_from(gap).unwrap_or(BATCH).min(BATCH);
            let events = inner.log.read_all(from, limit).await?;
            read += events.len();
            if let Some(to) = events.last().map(|last| last.position) {
                let started = Instant::now();
                lost |= !batch::advance(&inner.store, group, &events, to).await?;
                let mut work = inner.work.lock().unwrap_or_else(PoisonError::into_inner);
                work.batches += 1;
                work.events += events.len() as u64;
                work.busy += started.elapsed();
            }
            ahead = group.first().map(|first| first.position);
        }
        if lost {
            self.live.clear();
            return Ok(Step::More);
        }
        self.read_models.publish(&self.live);
        if read > CROWD && !inner.store.is_shared() {
            // The log waits for the same file: who leaves it room gets larger batches, which cost less an event.
            tokio::time::sleep(began.elapsed() / 2).await;
        }
        let poll = if inner.store.is_shared() { POLL_SHARED } else { POLL_ALONE };
        let is_behind = self.live.iter().any(|checkpoint| checkpoint.position < head);
        Ok(if is_behind { Step::More } else { Step::Idle(poll) })
    }

    /// Sees how far another process has come.
    async fn follow(&mut self) -> Result<Step, StoreError> {
        self.live.clear();
        self.read_models.refresh().await?;
        let awaited = self.read_models.is_awaited();
        Ok(Step::Idle(if awaited { FOLLOW_AWAITED } else { FOLLOW_IDLE }))
    }

    async fn housekeep(&mut self) -> Result<(), StoreError> {
        let mut live = self.read_models.refresh().await?;
        for known in self.live.drain(..) {
            let is_same = |c: &&mut Checkpoint| c.table() == known.table() && c.position == known.position;
            if let Some(same) = live.iter_mut().find(is_same) {
                same.known_rows = known.known_rows;
            }
        }
        self.live = live;
        self.housekeeping = Instant::now();
        let mut transaction = self.read_models.inner.store.begin().await?;
        generation::remove_abandoned(&mut transaction.connection()).await?;
        transaction.commit().await
    }
}
