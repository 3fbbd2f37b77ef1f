//! Rebuilds read models from the log, beside the live ones and without downtime.
//!
//! The new generation has a table of its own, filled by the same fold in large batches; its secondary indexes are
//! created near the end. When it has caught up, one transaction locks the live generation, applies the events that
//! are still missing, and switches: no reader ever sees a position go back. The events of parked streams are tried
//! again.

use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::{ReadError, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::batch::{self, Batch};
use crate::bulk::BATCH;
use crate::checkpoint::{self, Checkpoint, Generation};
use crate::generation;
use crate::projection::{ALL, AnyProjection};
use crate::query::Query;
use crate::read_models::ReadModels;
use crate::rows::{Connection, create_indexes};

const RETRY: Duration = Duration::from_secs(5);
/// How many outages of the database a rebuild outlives.
const MAX_OUTAGES: u32 = 3;
/// How often the removal of an unfinished generation is tried.
const DISCARDS: u32 = 5;

/// How far a rebuild or a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The read model.
    pub projection: &'static str,
    /// Every event up to here is in it.
    pub position: Position,
    /// The position that it has to reach.
    pub head: Position,
}

/// Why a rebuild failed. The live read models are as they were.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such read model.
    #[error("there is no read model {0:?}")]
    Unknown(String),
    /// Somebody else has removed the generation that was being filled, or has switched to a later one.
    #[error("another rebuild has taken over")]
    Superseded,
    /// The database did not answer.
    #[error("the read models are unavailable")]
    Unavailable(#[from] StoreError),
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] ReadError),
}

/// A rebuild that has begun. If it is dropped without being finished or given up, housekeeping removes its
/// generations later.
#[derive(Debug)]
#[must_use = "it has only begun"]
pub struct Rebuild {
    read_models: ReadModels,
    generations: Vec<Generation>,
}

impl Rebuild {
    /// Fills the new generations and switches to them. `progress` is called after every batch. Begins anew after a short
    /// outage of the database.
    ///
    /// # Errors
    /// If the rebuild failed: then unfinished generations are removed.
    pub async fn finish(&mut self, progress: impl Fn(Progress) + Send + Sync) -> Result<(), RebuildError> {
        let mut outages = 0;
        loop {
            let rebuilt = self.read_models.fill_and_switch(&mut self.generations, &progress).await;
            let Err(error) = rebuilt else { return Ok(()) };
            self.give_up().await;
            let is_outage = matches!(error, RebuildError::Unavailable(_) | RebuildError::Log(_))
                && self.read_models.inner.store.is_shared();
            if !is_outage || outages == MAX_OUTAGES {
                return Err(error);
            }
            outages += 1;
            tracing::warn!(error = &error as &dyn std::error::Error, "a rebuild begins anew");
            tokio::time::sleep(RETRY).await;
            let projections: Vec<_> = self.generations.iter().map(|g| g.checkpoint.projection).collect();
            self.generations = self.read_models.begin_generations(&projections).await?;
        }
    }

    /// Removes the new generations that are not live by now.
    pub async fn give_up(&self) {
        for generation in &self.generations {
            self.read_models.discard(&generation.checkpoint).await;
        }
    }
}

impl ReadModels {
    /// The names of all read models.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|projection| projection.name())
    }

    /// Rebuilds these read models in one pass over the log. It may run in any process, beside one that serves.
    /// `progress` is called after every batch.
    ///
    /// # Errors
    /// [`RebuildError::Unknown`] if a name is none of [`ReadModels::names`].
    pub async fn rebuild(
        &self,
        names: &[&str],
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<(), RebuildError> {
        self.begin_rebuild(names).await?.finish(progress).await
    }

    /// Begins a rebuild: creates its generations, which [`ReadModels::status`] shows from here on.
    /// [`Rebuild::finish`] does the rest.
    ///
    /// # Errors
    /// [`RebuildError::Unknown`] if a name is none of [`ReadModels::names`].
    pub async fn begin_rebuild(&self, names: &[&str]) -> Result<Rebuild, RebuildError> {
        let generations = self.begin_generations(&by_name(names)?).await?;
        Ok(Rebuild { read_models: self.clone(), generations })
    }

    /// Rebuilds outdated read models each time this process becomes the leading one, until `shutdown`: those made by
    /// another version of their fold, from a log that was longer than this one, or without all skips.
    pub(crate) async fn keep_rebuilt(&self, mut held: watch::Receiver<bool>, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                owner = held.wait_for(|held| *held) => {
                    if owner.is_err() {
                        return;
                    }
                }
                () = shutdown.cancelled() => return,
            }
            let rebuilt = tokio::select! {
                rebuilt = self.rebuild_outdated() => rebuilt,
                () = shutdown.cancelled() => return,
            };
            let pause = match rebuilt {
                // Nothing more to do until another process takes over, which may be of another build.
                Ok(()) => None,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "a read model is outdated and cannot be rebuilt yet");
                    Some(RETRY)
                }
            };
            tokio::select! {
                _ = held.wait_for(|held| !*held), if pause.is_none() => {}
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn rebuild_outdated(&self) -> Result<(), RebuildError> {
        // The checkpoints are read before the head: the log may grow in between, and the read models with it.
        let live = self.refresh_generations().await?;
        let head = self.inner.log.head().await?;
        let mut outdated: Vec<&str> = Vec::new();
        for Generation { checkpoint: live, skipped, .. } in &live {
            let is_skip_missing = *skipped != self.skipped(live.projection.name()).await?;
            if live.version != live.projection.version() || live.position > head || is_skip_missing {
                outdated.push(live.projection.name());
            }
        }
        if outdated.is_empty() {
            return Ok(());
        }
        tracing::info!(projections = ?outdated, "rebuilding outdated read models");
        self.rebuild(&outdated, |_| {}).await?;
        tracing::info!(projections = ?outdated, "outdated read models are rebuilt");
        Ok(())
    }

    /// Creates new, empty generations of these read models.
    pub(crate) async fn begin_generations(
        &self,
        projections: &[&'static dyn AnyProjection],
    ) -> Result<Vec<Generation>, StoreError> {
        let mut skipped = Vec::with_capacity(projections.len());
        for projection in projections {
            skipped.push(self.skipped(projection.name()).await?);
        }
        let mut transaction = self.inner.store.begin().await?;
        let mut connection = transaction.connection();
        connection.lock_generations().await?;
        let mut created = Vec::with_capacity(projections.len());
        for (projection, skipped) in projections.iter().zip(skipped) {
            created.push(generation::create(&mut connection, *projection, skipped).await?);
        }
        transaction.commit().await?;
        Ok(created)
    }

    async fn fill_and_switch(
        &self,
        rebuilding: &mut [Generation],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        self.catch_up(rebuilding, progress).await?;
        for generation in rebuilding.iter() {
            self.create_indexes(&generation.checkpoint).await?;
        }
        self.catch_up(rebuilding, progress).await?;
        let mut superseded = false;
        for generation in rebuilding.iter_mut() {
            match self.switch(generation).await {
                // The other read models can still be switched.
                Err(RebuildError::Superseded) => superseded = true,
                switched => switched?,
            }
        }
        if superseded { Err(RebuildError::Superseded) } else { Ok(()) }
    }

    /// Creates the secondary indexes, each in a transaction of its own: on SQLite, no writer has to wait for all of
    /// them.
    async fn create_indexes(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        for statement in create_indexes(&checkpoint.table(), checkpoint.projection.schema()) {
            let mut transaction = self.inner.store.begin().await?;
            transaction.connection().execute(&Query::new(&statement)).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Brings generations at the same position close to the end of the log.
    async fn catch_up(
        &self,
        rebuilding: &mut [Generation],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        while let Some(from) = rebuilding.first().map(|first| first.checkpoint.position) {
            let head = self.inner.log.head().await?;
            if from >= head {
                break;
            }
            self.fill(rebuilding, head, progress, |_| {}).await?;
            if from.0 + BATCH as u64 > head.0 {
                break;
            }
        }
        Ok(())
    }

    /// Makes a filled generation the live one.
    async fn switch(&self, generation: &mut Generation) -> Result<(), RebuildError> {
        let mut transaction = self.inner.store.begin().await?;
        let mut connection = transaction.connection();
        let name = generation.checkpoint.projection.name();
        let live = checkpoint::lock_live(&mut connection, name).await?;
        let until = live.unwrap_or_default().min(self.inner.log.head().await?);
        self.advance_to(&mut connection, generation, until).await?;
        // A skip that was decided meanwhile has begun a rebuild of its own.
        if generation.skipped != self.skipped(name).await? {
            return Err(RebuildError::Superseded);
        }
        if !generation::switch(&mut connection, &generation.checkpoint).await? {
            return Err(RebuildError::Superseded);
        }
        transaction.commit().await?;
        self.refresh().await?;
        tracing::info!(
            projection.name = name,
            generation = generation.checkpoint.generation,
            event.position = generation.checkpoint.position.0,
            "a rebuilt read model is live"
        );
        Ok(())
    }

    /// Advances one generation to exactly `until`, in the caller's transaction.
    pub(crate) async fn advance_to(
        &self,
        connection: &mut Connection<'_>,
        generation: &mut Generation,
        until: Position,
    ) -> Result<(), RebuildError> {
        while generation.checkpoint.position < until {
            let (events, to) = self.read_batch(generation.checkpoint.position, until).await?;
            let batch = Batch { events: &events, to };
            if !batch::advance_in(connection, std::slice::from_mut(generation), batch).await? {
                return Err(RebuildError::Superseded);
            }
        }
        Ok(())
    }

    /// Removes a generation that will not be finished. If the database does not answer for a while, housekeeping removes
    /// it later; until then, nothing is archived or purged.
    pub(crate) async fn discard(&self, checkpoint: &Checkpoint) {
        for is_last in (1..=DISCARDS).map(|n| n == DISCARDS) {
            match self.try_discard(checkpoint).await {
                Ok(()) => return,
                Err(error) if is_last => {
                    tracing::warn!(error = &*error, "an unfinished rebuild is left for later removal");
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    async fn try_discard(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let mut transaction = self.inner.store.begin().await?;
        let name = checkpoint.projection.name();
        generation::remove_unfinished(&mut transaction.connection(), name, checkpoint.generation).await?;
        transaction.commit().await
    }
}

fn by_name(names: &[&str]) -> Result<Vec<&'static dyn AnyProjection>, RebuildError> {
    let mut projections: Vec<&'static dyn AnyProjection> = Vec::new();
    for name in names {
        let known = ALL.iter().find(|projection| projection.name() == *name);
        let projection = *known.ok_or_else(|| RebuildError::Unknown((*name).to_owned()))?;
        if !projections.iter().any(|p| p.name() == projection.name()) {
            projections.push(projection);
        }
    }
    Ok(projections)
}
