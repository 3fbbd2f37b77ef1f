//! One step of the projector. The process that holds the projector lease folds a batch and starts storing when that is
//! due; where its read models are at different positions (after a rebuild, for example), it first brings them to the same
//! one. Every other process follows the checkpoints that the holder stores.

use std::cmp::Reverse;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::StoreError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::completed::Completed;
use super::storing::Storing;
use crate::batch::{self, Batch};
use crate::checkpoint::{self, Generation};
use crate::generation::{self, removal};
use crate::lease;
use crate::read_models::ReadModels;

/// Events in one batch.
const BATCH: usize = 1000;
/// How often a process that does not project reads the checkpoints: while a request waits for them, and otherwise.
const FOLLOW_AWAITED: Duration = Duration::from_millis(10);
const FOLLOW_IDLE: Duration = Duration::from_millis(500);
/// How often to do housekeeping: notice the rebuilds of other processes, remove abandoned tables. Less often under load,
/// since everything that is folded must be stored first.
const HOUSEKEEPING: Duration = Duration::from_secs(2);
const HOUSEKEEPING_UNDER_LOAD: Duration = Duration::from_secs(10);
/// How long a folded change may wait to be stored. A job changes several times within a short time; its row is then stored
/// once for all of them.
const STORE_AFTER: Duration = Duration::from_millis(50);
/// Most events that are folded and that nobody has begun to store: then the projector waits for the database. With those
/// that are being stored, their rows must fit into the row cache of a generation.
const MAX_UNSTORED: u64 = BATCH as u64;
/// The same bound in bytes of documents.
const MAX_UNSTORED_BYTES: usize = 16 << 20;

/// What a step leaves to do.
pub(super) enum Remaining {
    /// There may be more to read.
    More,
    /// Nothing for a while.
    Idle(Duration),
}

/// The state of the projector: the live read models as this process has folded them.
pub(super) struct Projector<'a> {
    read_models: &'a ReadModels,
    pub(super) head: watch::Receiver<Position>,
    /// The live generations as folded, highest position first; empty where they must be loaded from the database.
    live: Vec<Generation>,
    /// When the oldest change was folded that nobody has begun to store.
    since: Option<Instant>,
    pub(super) storing: Storing,
    housekeeping: Instant,
    completed: Completed,
}

impl<'a> Projector<'a> {
    pub(super) fn new(read_models: &'a ReadModels) -> Self {
        Self {
            read_models,
            head: read_models.inner.log.watch(),
            live: Vec::new(),
            since: None,
            storing: Storing::default(),
            housekeeping: Instant::now(),
            completed: Completed::default(),
        }
    }

    /// Folds one batch, and begins to store what is due.
    pub(super) async fn step(&mut self) -> Result<Remaining, StoreError> {
        self.conclude().await?;
        let pause = if self.is_quiet() { HOUSEKEEPING } else { HOUSEKEEPING_UNDER_LOAD };
        if self.live.is_empty() || self.housekeeping.elapsed() > pause {
            self.store_all().await?;
            self.housekeep().await?;
        }
        if self.live.iter().any(|live| live.checkpoint.is_of_another_build()) {
            // Another build has rebuilt a read model. Its rows stay as they are, until the leading process adopts them.
            self.reset().await;
            return Ok(Remaining::Idle(FOLLOW_IDLE));
        }
        // Before reading the log, so that no change of the head is missed.
        let head = *self.head.borrow_and_update();
        if self.live.last().is_some_and(|last| last.checkpoint.position < self.folded()) {
            self.store_all().await?;
            return self.bring_together(head).await;
        }
        if !self.is_full() && (self.folded() < head || self.is_asked()) {
            self.fold().await?;
        }
        if self.is_due() {
            self.store();
        } else if self.is_quiet() {
            // What was asked for is stored. If it came just now, it is asked for again.
            self.read_models.inner.store_soon.store(false, Ordering::Relaxed);
        }
        let is_behind = self.folded() < head;
        Ok(if is_behind && !self.is_full() { Remaining::More } else { Remaining::Idle(self.pause()) })
    }

    /// Whether somebody may wait for events that this process has not heard of yet: another process, or a request that has
    /// heard of them from one.
    fn is_asked(&self) -> bool {
        self.read_models.inner.store_soon.load(Ordering::Relaxed)
            || self.read_models.inner.awaited.is_after(self.folded())
    }

    /// Where all live read models are at the same position: everything up to it is folded.
    fn folded(&self) -> Position {
        self.live.first().map(|first| first.checkpoint.position).unwrap_or_default()
    }

    /// Whether everything that is folded is stored.
    pub(super) fn is_quiet(&self) -> bool {
        self.since.is_none() && self.storing.is_idle()
    }

    /// Whether so much is folded that it must be stored before more is folded.
    fn is_much(&self) -> bool {
        let events = self.folded().0.saturating_sub(self.storing.begun().0);
        events >= MAX_UNSTORED || self.read_models.inner.unstored.bytes() >= MAX_UNSTORED_BYTES
    }

    /// Whether folding has to wait for the database (back-pressure).
    pub(super) fn is_full(&self) -> bool {
        !self.storing.is_idle() && self.is_much()
    }

    fn is_due(&self) -> bool {
        let Some(since) = self.since.filter(|_| self.storing.is_idle()) else { return false };
        since.elapsed() >= STORE_AFTER
            || self.is_much()
            || self.read_models.inner.awaited.is_after(self.storing.position())
            || self.is_asked()
    }

    /// How long to sleep unless something happens.
    fn pause(&self) -> Duration {
        match self.since.filter(|_| self.storing.is_idle()) {
            Some(since) => STORE_AFTER.saturating_sub(since.elapsed()),
            None => HOUSEKEEPING,
        }
    }

    /// Folds the next batch, and publishes the changed rows to reads by key, which then need not wait until they are stored.
    async fn fold(&mut self) -> Result<(), StoreError> {
        let inner = &self.read_models.inner;
        let events = inner.log.read_all(self.folded(), BATCH).await?;
        let Some(to) = events.last().map(|last| last.position) else { return Ok(()) };
        let batch = Batch { events: &events, to };
        let began = Instant::now();
        let Some(folded) = batch::fold(&inner.store, &mut self.live, batch).await? else {
            self.reset().await;
            return Ok(());
        };
        batch::remember(&mut self.live, &folded);
        inner.unstored.put(&checkpoint::of(&self.live), folded.changes, folded.to);
        self.since.get_or_insert(began);
        let mut work = inner.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.events += folded.events as u64;
        work.busy += began.elapsed();
        Ok(())
    }

    fn store(&mut self) {
        self.since = None;
        self.read_models.inner.store_soon.store(false, Ordering::Relaxed);
        self.storing.begin(&self.read_models.inner, self.folded());
    }

    async fn conclude(&mut self) -> Result<(), StoreError> {
        if self.storing.conclude(self.read_models)? {
            batch::stored(&mut self.live, self.storing.position());
        } else {
            self.reset().await;
        }
        Ok(())
    }

    /// Stores everything that is folded, and waits for it.
    pub(super) async fn store_all(&mut self) -> Result<(), StoreError> {
        loop {
            if !self.storing.is_idle() {
                self.storing.end().await;
                self.conclude().await?;
            }
            if self.since.is_none() {
                return Ok(());
            }
            self.store();
        }
    }

    /// Discards what is not stored. It is folded again, from the checkpoints in the database.
    pub(super) async fn reset(&mut self) {
        self.storing.cancel().await;
        self.read_models.inner.unstored.clear();
        self.live.clear();
        self.since = None;
    }

    /// Advances each group of read models that are at the same position by one batch, but not past the group before it, and
    /// stores it at once. Repeated until all are together.
    async fn bring_together(&mut self, head: Position) -> Result<Remaining, StoreError> {
        let inner = &self.read_models.inner;
        let mut ahead: Option<Position> = None;
        for group in self.live.chunk_by_mut(|a, b| a.checkpoint.position == b.checkpoint.position) {
            let from = group.first().map(|first| first.checkpoint.position).unwrap_or_default();
            let gap = ahead.map_or(u64::MAX, |ahead| ahead.0.saturating_sub(from.0));
            let limit = usize::try_from(gap).unwrap_or(BATCH).min(BATCH);
            let events = inner.log.read_all(from, limit).await?;
            if let Some(to) = events.last().map(|last| last.position) {
                let batch = Batch { events: &events, to };
                if !batch::advance(&inner.store, group, batch).await? {
                    self.reset().await;
                    return Ok(Remaining::More);
                }
            }
            ahead = group.first().map(|first| first.checkpoint.position);
        }
        self.live.sort_by_key(|live| Reverse(live.checkpoint.position));
        let checkpoints = checkpoint::of(&self.live);
        self.read_models.publish(&checkpoints);
        self.storing.reset(checkpoints);
        let is_behind = self.storing.position() < head;
        Ok(if is_behind { Remaining::More } else { Remaining::Idle(self.pause()) })
    }

    /// Reads how far the process that projects has come, and asks it to store what a request here waits for.
    pub(super) async fn follow(&mut self) -> Result<Remaining, StoreError> {
        self.reset().await;
        let live = self.read_models.refresh().await?;
        self.completed.extend_to(&live, &self.read_models.inner.store).await;
        if !self.read_models.inner.awaited.is_after(self.read_models.position()) {
            return Ok(Remaining::Idle(FOLLOW_IDLE));
        }
        lease::ask_to_store(&self.read_models.inner.store).await?;
        Ok(Remaining::Idle(FOLLOW_AWAITED))
    }

    async fn housekeep(&mut self) -> Result<(), StoreError> {
        let mut live = self.read_models.refresh_generations().await?;
        let store = &self.read_models.inner.store;
        let is_of_another_build = |live: &Generation| live.checkpoint.is_of_another_build();
        // Where processes share the database, whoever takes the lease does this.
        if !store.is_shared() && (self.live.is_empty() || live.iter().any(is_of_another_build)) {
            generation::adopt(store).await?;
            live = self.read_models.refresh_generations().await?;
        }
        for known in self.live.drain(..) {
            let is_same = |live: &&mut Generation| {
                let (live, known) = (live.checkpoint, known.checkpoint);
                live.table() == known.table() && live.position == known.position
            };
            if let Some(same) = live.iter_mut().find(is_same) {
                same.row_cache = known.row_cache;
            }
        }
        live.sort_by_key(|live| Reverse(live.checkpoint.position));
        self.storing.reset(checkpoint::of(&live));
        self.live = live;
        self.housekeeping = Instant::now();
        if let Err(error) = self.remove_abandoned().await {
            // Such a table may be locked by a reader, a backup for example. It is removed later.
            tracing::debug!(error = &*error, "what nobody needs any more is left for later removal");
        }
        Ok(())
    }

    async fn remove_abandoned(&self) -> Result<(), StoreError> {
        let mut transaction = self.read_models.inner.store.begin().await?;
        let mut connection = transaction.connection();
        connection.wait_briefly().await?;
        removal::remove_abandoned(&mut connection).await?;
        transaction.commit().await
    }
}
