//! Rebuilds outdated read models, in the leading process.

use std::time::Duration;

use rivet_events::log::StoreError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{RETRY, RebuildError};
use crate::checkpoint::Generation;
use crate::generation;
use crate::leadership::Leadership;
use crate::read_models::ReadModels;

/// How often to look for outdated read models.
const CHECK_EVERY: Duration = Duration::from_mins(1);

impl ReadModels {
    /// Rebuilds outdated read models while this process is the leading one, until `shutdown`: those made by another
    /// version of their fold, from a log that was longer than this one, or without all skips.
    pub(crate) async fn keep_rebuilt(&self, shutdown: CancellationToken) {
        let mut leadership = Leadership::new(self, shutdown);
        while leadership.wait_until_leading().await {
            let rebuilt = self.rebuild_outdated(&leadership).await;
            let pause = rebuilt.unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a read model is outdated and cannot be rebuilt yet"
                );
                RETRY
            });
            leadership.run_while_leading(sleep(pause)).await;
        }
    }

    /// Returns how long to wait before the next look.
    async fn rebuild_outdated(&self, leadership: &Leadership) -> Result<Duration, RebuildError> {
        let Some(looked) = leadership.until_shutdown(self.outdated()).await else { return Ok(RETRY) };
        let (outdated, pause) = looked?;
        if outdated.is_empty() {
            return Ok(pause);
        }
        tracing::info!(projections = ?outdated, "rebuilding outdated read models");
        let mut rebuild = self.begin_rebuild(&outdated).await?;
        // Only once: before another try, somebody else may lead. But also if somebody else leads meanwhile.
        match leadership.until_shutdown(rebuild.try_finish(&|_| {})).await {
            Some(finished) => {
                finished?;
                tracing::info!(projections = ?outdated, "outdated read models are rebuilt");
            }
            // Until its generations are removed, nothing is archived.
            None => rebuild.give_up().await,
        }
        Ok(pause)
    }

    /// The outdated read models that nobody else rebuilds, and how long to wait before the next look: a rebuild by
    /// somebody else, after a skip for example, may fail, or end with its process.
    async fn outdated(&self) -> Result<(Vec<&'static str>, Duration), RebuildError> {
        // Before the live ones: a rebuild may be done in between.
        let filled = self.inner.store.limited(self.being_filled()).await?;
        // The checkpoints are read before the head: the log may grow in between, and the read models with it.
        let live = self.inner.store.limited(self.refresh_generations()).await?;
        let head = self.inner.log.head().await?;
        let (mut outdated, mut pause) = (Vec::new(), CHECK_EVERY);
        for Generation { checkpoint: live, skipped, .. } in &live {
            let name = live.projection.name();
            let is_skip_missing = *skipped != self.skipped(name).await?;
            if !(live.is_foreign() || live.position > head || is_skip_missing) {
                continue;
            }
            // What a newer build has made is adopted before.
            if live.is_newer() || filled.contains(&name) {
                pause = RETRY;
            } else {
                outdated.push(name);
            }
        }
        Ok((outdated, pause))
    }

    async fn being_filled(&self) -> Result<Vec<&'static str>, StoreError> {
        let mut reader = self.inner.store.reader().await?;
        generation::being_filled(&mut reader.connection()).await
    }
}
