//! [`ReadModels`], the handle of the open read models: the state that queries, the projector, rebuilds and status
//! share.
//!
//! It knows which generation of each read model is live, publishes the position that queries see, lets callers wait
//! for a position, and runs queries.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rivet_events::Position;
use rivet_events::database::Database;
use rivet_events::log::{EventLog, StoreError};
use tokio::sync::{Notify, watch};

use crate::awaited::Awaited;
use crate::checkpoint::{self, Checkpoint, Generation, State};
use crate::generation::{self, NO_VERSION};
use crate::page::{Cursor, Page};
use crate::projection::Projection;
use crate::query::{self, Query, QueryError, Value};
use crate::rows::{Connection, Store, is_missing_table};
use crate::status::ProjectorWork;
use crate::unstored::Unstored;

/// All read models over one database and one log. Clones share their state.
#[derive(Clone)]
pub struct ReadModels {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) log: Arc<dyn EventLog>,
    live: RwLock<Live>,
    /// Every event up to here is stored in every live read model, other than those that wait to be rebuilt.
    position: watch::Sender<Position>,
    /// Whether this process leads: it keeps the read models up to date.
    pub(crate) leading: watch::Sender<bool>,
    /// The changes by which the projector of this process is ahead of `position`.
    pub(crate) unstored: Unstored,
    /// The positions that callers wait for.
    pub(crate) awaited: Awaited,
    /// Whether another process has asked to store what is folded, since storing was last begun.
    pub(crate) store_soon: AtomicBool,
    /// What the projector of this process has done.
    pub(crate) work: Mutex<ProjectorWork>,
    /// Wakes the projector loop when somebody begins to wait, or asks to store.
    pub(crate) wanted: Notify,
}

/// The generations that queries read.
#[derive(Default)]
struct Live {
    /// The live generation of each read model.
    generations: HashMap<&'static str, i64>,
    /// How often `generations` or the position were published. If this has changed while a caller read the
    /// checkpoints, these are out of date.
    published: u64,
}

impl fmt::Debug for ReadModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadModels").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl ReadModels {
    /// Opens the read models, and creates missing tables. They are filled by [`ReadModels::run`], in this process or
    /// in another one that shares the database.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn open(database: Database, log: Arc<dyn EventLog>) -> Result<Self, StoreError> {
        let store = Store::new(database);
        let mut transaction = store.begin().await?;
        generation::prepare(&mut transaction.connection()).await?;
        transaction.commit().await?;
        let leading = watch::Sender::new(!store.is_shared());
        let read_models = Self {
            inner: Arc::new(Inner {
                leading,
                store,
                log,
                live: RwLock::default(),
                position: watch::Sender::new(Position(0)),
                unstored: Unstored::default(),
                awaited: Awaited::default(),
                store_soon: AtomicBool::new(false),
                work: Mutex::default(),
                wanted: Notify::new(),
            }),
        };
        read_models.refresh().await?;
        Ok(read_models)
    }

    /// Queries see every event up to here.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.inner.position.borrow()
    }

    /// Watches [`ReadModels::position`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.inner.position.subscribe()
    }

    /// Watches whether this process leads: it is the one, of those that share the database, that keeps the read
    /// models up to date. It is a hint for other work that only one of them has to do.
    #[must_use]
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.inner.leading.subscribe()
    }

    /// Waits until queries see every event up to `position` (I9). False if that takes longer than `timeout`.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> bool {
        if self.position() >= position {
            return true;
        }
        let _waiting = self.inner.awaited.begin(position);
        self.inner.wanted.notify_one();
        tokio::time::timeout(timeout, self.stored(position)).await.is_ok()
    }

    /// Waits until queries see every event up to `position`.
    pub(crate) async fn stored(&self, position: Position) {
        // The channel cannot close: its sender is in `self`.
        let _ = self.watch().wait_for(|seen| *seen >= position).await;
    }

    /// Makes the projector store what it has folded, as somebody in another process waits for it.
    pub(crate) fn store_soon(&self) {
        self.inner.store_soon.store(true, Ordering::Relaxed);
        self.inner.wanted.notify_one();
    }

    /// Reads from the database which generations are live and how far they are, and publishes and returns that.
    pub(crate) async fn refresh(&self) -> Result<Vec<Checkpoint>, StoreError> {
        self.refresh_as(checkpoint::load, |checkpoint| *checkpoint).await
    }

    /// As [`Self::refresh`], and returns the live generations.
    pub(crate) async fn refresh_generations(&self) -> Result<Vec<Generation>, StoreError> {
        self.refresh_as(Generation::load, |generation| generation.checkpoint).await
    }

    async fn refresh_as<T>(
        &self,
        load: impl AsyncFn(&mut Connection<'_>) -> Result<Vec<T>, StoreError>,
        checkpoint: impl Fn(&T) -> Checkpoint,
    ) -> Result<Vec<T>, StoreError> {
        let mut reader = self.inner.store.reader().await?;
        loop {
            let published = self.live().published;
            let mut live = load(&mut reader.connection()).await?;
            live.retain(|live| checkpoint(live).state == State::Live);
            let checkpoints: Vec<_> = live.iter().map(&checkpoint).collect();
            if self.publish_if(&checkpoints, |live| live.published == published) {
                return Ok(live);
            }
        }
    }

    /// Publishes the positions of these generations, if they all are live. If another generation has become live,
    /// only [`Self::refresh`] publishes it.
    pub(crate) fn publish(&self, checkpoints: &[Checkpoint]) {
        let is_live =
            |live: &Live, c: &Checkpoint| live.generations.get(c.projection.name()) == Some(&c.generation);
        self.publish_if(checkpoints, |live| checkpoints.iter().all(|checkpoint| is_live(live, checkpoint)));
    }

    /// Publishes the live generations and their lowest position, if `is_current` confirms, under the lock, that the
    /// checkpoints are not out of date. Returns whether it did.
    fn publish_if(&self, checkpoints: &[Checkpoint], is_current: impl FnOnce(&Live) -> bool) -> bool {
        let mut live = self.inner.live.write().unwrap_or_else(PoisonError::into_inner);
        if !is_current(&live) {
            return false;
        }
        live.published += 1;
        live.generations.extend(checkpoints.iter().map(|c| (c.projection.name(), c.generation)));
        // Those that wait to be rebuilt count only where there are no others.
        let lowest = checkpoints.iter().min_by_key(|live| (live.version == NO_VERSION, live.position));
        if let Some(Checkpoint { position, .. }) = lowest.copied() {
            self.inner
                .position
                .send_if_modified(|published| std::mem::replace(published, position) != position);
        }
        true
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.inner.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row with this key.
    pub(crate) async fn find<P: Projection>(&self, key: &str) -> Result<Option<P::Row>, QueryError> {
        let query = Query::new("select document from {rows} where key = ").bind(key);
        Ok(self.select::<P>(&query).await?.pop())
    }

    /// The rows whose documents a query selects. If one of them cannot be decoded, the query fails: a list without it
    /// would say that it does not exist.
    pub(crate) async fn select<P: Projection>(&self, query: &Query) -> Result<Vec<P::Row>, QueryError> {
        let rows = self.values::<P>(query).await?;
        rows.into_iter()
            .filter_map(|row| row.into_iter().next().and_then(Value::into_text))
            .map(|document| query::decode::<P>(&document))
            .collect()
    }

    /// The page that a [`Query::page`] selects.
    pub(crate) async fn page<P: Projection>(
        &self,
        query: &Query,
        limit: usize,
        cursor: impl Fn(&P::Row) -> Cursor,
    ) -> Result<Page<P::Row>, QueryError> {
        let rows = self.values::<P>(query).await?;
        let found = rows.len();
        let fitting = rows.into_iter().take(limit).map_while(|row| row.into_iter().next()?.into_text());
        let rows = fitting.map(|document| query::decode::<P>(&document)).collect::<Result<_, _>>()?;
        Ok(Page::of(rows, found, cursor))
    }

    /// The number that a query selects.
    pub(crate) async fn count<P: Projection>(&self, query: &Query) -> Result<u64, QueryError> {
        let rows = self.values::<P>(query).await?;
        Ok(query::only(&rows).and_then(Value::count).unwrap_or_default())
    }

    /// Runs a query, and returns the rows as values.
    pub(crate) async fn values<P: Projection>(&self, query: &Query) -> Result<Vec<Vec<Value>>, QueryError> {
        let asked = async {
            match self.ask::<P>(query).await {
                // Another process has rebuilt the read model, and dropped the table of the generation that we knew.
                Err(error) if is_missing_table(&error) => {
                    self.refresh().await?;
                    self.ask::<P>(query).await
                }
                answer => answer,
            }
        };
        self.inner.store.limited(asked).await.map_err(QueryError::Unavailable)
    }

    /// The generation of a read model that queries read.
    pub(crate) fn generation(&self, projection: &str) -> i64 {
        self.live().generations.get(projection).copied().unwrap_or_default()
    }

    async fn ask<P: Projection>(&self, query: &Query) -> Result<Vec<Vec<Value>>, StoreError> {
        let table = checkpoint::table(P::NAME, self.generation(P::NAME));
        self.inner.store.query(&query.of_table(&table)).await
    }
}
