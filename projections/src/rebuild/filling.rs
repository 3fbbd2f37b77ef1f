//! The life of the generations of a rebuild: they are begun, filled, and become live, or are discarded.

use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::StoreError;

use super::{Progress, RETRY, RebuildError};
use crate::batch::{self, Batch};
use crate::bulk::BATCH;
use crate::checkpoint::{self, Checkpoint, Generation};
use crate::generation::{self, removal};
use crate::projection::AnyProjection;
use crate::query::Query;
use crate::read_models::ReadModels;
use crate::rows::{Connection, create_indexes};

/// How often to show that generations are still needed.
const HOLD_EVERY: Duration = Duration::from_secs(10);
/// How often the removal of an unfinished generation is tried.
const DISCARDS: u32 = 5;

impl ReadModels {
    /// Creates new, empty generations of these read models.
    pub(crate) async fn begin_generations(
        &self,
        projections: &[&'static dyn AnyProjection],
    ) -> Result<Vec<Generation>, StoreError> {
        let mut skipped = Vec::with_capacity(projections.len());
        for projection in projections {
            skipped.push(self.skipped(projection.name()).await?);
        }
        let begin = async {
            let mut transaction = self.inner.store.begin().await?;
            let mut connection = transaction.connection();
            connection.lock_generations().await?;
            let mut created = Vec::with_capacity(projections.len());
            for (projection, skipped) in projections.iter().zip(skipped) {
                created.push(generation::create(&mut connection, *projection, skipped).await?);
            }
            transaction.commit().await?;
            Ok(created)
        };
        self.inner.store.limited(begin).await
    }

    pub(super) async fn fill_and_switch(
        &self,
        rebuilding: &mut [Generation],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        let held = checkpoint::of(rebuilding);
        tokio::select! {
            filled = self.fill_all(rebuilding, progress) => filled?,
            lost = self.hold(&held) => return Err(lost),
        }
        let mut superseded = false;
        for (generation, left) in rebuilding.iter_mut().zip((0..).map(|n| &held[n..])) {
            for waiting in left {
                self.inner.store.limited(self.touch(waiting)).await?;
            }
            match self.inner.store.limited(self.switch(generation)).await {
                // The other read models can still be switched.
                Err(RebuildError::Superseded) => superseded = true,
                switched => switched?,
            }
        }
        if superseded { Err(RebuildError::Superseded) } else { Ok(()) }
    }

    /// Brings generations close to the end of the log, with their indexes.
    async fn fill_all(
        &self,
        rebuilding: &mut [Generation],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        self.catch_up(rebuilding, progress).await?;
        self.create_indexes(&checkpoint::of(rebuilding)).await?;
        self.catch_up(rebuilding, progress).await
    }

    /// Creates the secondary indexes, each in a transaction of its own: on SQLite, no writer has to wait for all of
    /// them. While one is created there, nobody can show that the generations are needed.
    async fn create_indexes(&self, checkpoints: &[Checkpoint]) -> Result<(), RebuildError> {
        let mut in_order: Vec<&Checkpoint> = checkpoints.iter().collect();
        in_order.sort_unstable_by_key(|checkpoint| checkpoint.projection.name());
        for checkpoint in checkpoints {
            for statement in create_indexes(&checkpoint.table(), checkpoint.projection.schema()) {
                let mut transaction = self.inner.store.begin().await?;
                let mut connection = transaction.connection();
                connection.execute(&Query::new(&statement)).await?;
                for held in &in_order {
                    if !generation::touch(&mut connection, held).await? {
                        return Err(RebuildError::Superseded);
                    }
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Shows that generations are still needed, until one of them is gone nevertheless. Work on them may store nothing in them
    /// for a while, and the rest of the log may all be archived.
    pub(crate) async fn hold(&self, held: &[Checkpoint]) -> RebuildError {
        loop {
            tokio::time::sleep(HOLD_EVERY).await;
            for checkpoint in held {
                match self.inner.store.limited(self.touch(checkpoint)).await {
                    Ok(true) => {}
                    Ok(false) => return RebuildError::Superseded,
                    Err(error) => {
                        let projection = checkpoint.projection.name();
                        tracing::warn!(
                            error = &*error,
                            projection,
                            "it cannot be shown yet that a generation is needed"
                        );
                    }
                }
            }
        }
    }

    /// In a transaction of its own: several checkpoints are only locked in order.
    async fn touch(&self, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        let mut transaction = self.inner.store.begin().await?;
        let is_there = generation::touch(&mut transaction.connection(), checkpoint).await?;
        transaction.commit().await?;
        Ok(is_there)
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
        if let Err(error) = self.refresh().await {
            // The projector reads it again.
            tracing::warn!(error = &*error, "which generations are live cannot be read");
        }
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
            match self.inner.store.limited(self.try_discard(checkpoint)).await {
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
        removal::remove_unfinished(&mut transaction.connection(), name, checkpoint.generation).await?;
        transaction.commit().await
    }
}
