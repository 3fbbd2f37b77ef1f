//! Rebuilds read models from the log, beside the live ones and without downtime.
//!
//! The new generation has a table of its own, filled by the same fold in large batches; its secondary indexes are
//! created near the end. When it has caught up, one transaction locks the live generation, applies the events that
//! are still missing, and switches: no reader ever sees a position go back. The events of parked streams are tried
//! again.

mod filling;
mod outdated;

use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::{ReadError, StoreError};

use crate::checkpoint::Generation;
use crate::projection::{ALL, AnyProjection};
use crate::read_models::ReadModels;

const RETRY: Duration = Duration::from_secs(5);
/// How many outages of the database a rebuild outlives.
const MAX_OUTAGES: u32 = 3;

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
    /// A newer build has made this live read model, and this one has not taken it over.
    #[error("a newer build has made the read model {0:?}: first, a server of this build has to take it over")]
    Newer(&'static str),
    /// Somebody else has removed the generation that was being filled, or has switched to a later one, or to one of a
    /// newer build.
    #[error("another rebuild, or a newer build, has taken over")]
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
            let Err(error) = self.try_finish(&progress).await else { return Ok(()) };
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

    /// As [`Self::finish`], but only once.
    async fn try_finish(&mut self, progress: &(impl Fn(Progress) + Send + Sync)) -> Result<(), RebuildError> {
        // Boxed, as its future is large.
        let rebuilt = Box::pin(self.read_models.fill_and_switch(&mut self.generations, progress)).await;
        if rebuilt.is_err() {
            self.give_up().await;
        }
        rebuilt
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
    /// [`RebuildError::Unknown`] if a name is none of [`ReadModels::names`]; as [`ReadModels::check_replaceable`].
    pub async fn begin_rebuild(&self, names: &[&str]) -> Result<Rebuild, RebuildError> {
        let projections = by_name(names)?;
        self.check_replaceable(names).await?;
        let generations = self.begin_generations(&projections).await?;
        Ok(Rebuild { read_models: self.clone(), generations })
    }

    /// Checks that a rebuild could replace these read models; otherwise it would fail after it had read the whole log.
    ///
    /// # Errors
    /// [`RebuildError::Newer`] if a newer build has made one of them.
    pub async fn check_replaceable(&self, names: &[&str]) -> Result<(), RebuildError> {
        let live = self.inner.store.limited(self.refresh()).await?;
        let newer = live.iter().find(|live| live.is_newer() && names.contains(&live.projection.name()));
        newer.map_or(Ok(()), |newer| Err(RebuildError::Newer(newer.projection.name())))
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
