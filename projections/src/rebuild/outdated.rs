//! Rebuilds outdated read models, in the leading process.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{RETRY, RebuildError};
use crate::checkpoint::Generation;
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
            // Also if another process leads meanwhile: a rebuild that is dropped leaves its generations for a while, and
            // until they are removed nothing is archived.
            match leadership.until_shutdown(self.rebuild_outdated()).await {
                // A rebuild that somebody else has to do, after a skip or a purge, may fail, or end with its process.
                Some(Ok(())) => leadership.run_while_leading(sleep(CHECK_EVERY)).await,
                Some(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a read model is outdated and cannot be rebuilt yet"
                    );
                    leadership.until_shutdown(sleep(RETRY)).await;
                }
                None => return,
            }
        }
    }

    async fn rebuild_outdated(&self) -> Result<(), RebuildError> {
        // The checkpoints are read before the head: the log may grow in between, and the read models with it.
        let live = self.inner.store.limited(self.refresh_generations()).await?;
        let head = self.inner.log.head().await?;
        let mut outdated: Vec<&str> = Vec::new();
        for Generation { checkpoint: live, skipped, .. } in &live {
            let is_skip_missing = *skipped != self.skipped(live.projection.name()).await?;
            if live.is_foreign() || live.position > head || is_skip_missing {
                outdated.push(live.projection.name());
            }
        }
        if outdated.is_empty() {
            return Ok(());
        }
        tracing::info!(projections = ?outdated, "rebuilding outdated read models");
        // Only once: before another try, somebody else may lead.
        self.begin_rebuild(&outdated).await?.try_finish(&|_| {}).await?;
        tracing::info!(projections = ?outdated, "outdated read models are rebuilt");
        Ok(())
    }
}
