//! Many events into generations that nobody reads yet: while one batch is folded and made ready, the next is read and the
//! one before is written.

use std::sync::Arc;

use rivet_events::log::{ReadError, StoreError};
use rivet_events::{Envelope, Position};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::batch;
use crate::checkpoint::Checkpoint;
use crate::read_models::ReadModels;
use crate::rebuild::{Progress, RebuildError};

/// Events in one batch. All rows that it changes are known while the next one is folded, although they may not be
/// written yet: there are fewer than [`Projection::KNOWN_ROWS`](crate::projection::Projection::KNOWN_ROWS).
pub(crate) const BATCH: usize = 4000;
/// Batches that are read and wait to be folded.
const READ_AHEAD: usize = 2;

/// Some events, and the position that they lead to. Where events were taken out of the log, that is no event's own.
pub(crate) type Events = (Vec<Arc<Envelope>>, Position);

impl ReadModels {
    /// Brings generations that stand together to `until` exactly. `progress` and `seen` hear of every batch.
    pub(crate) async fn fill(
        &self,
        generations: &mut [Checkpoint],
        until: Position,
        progress: &(impl Fn(Progress) + Send + Sync),
        mut seen: impl FnMut(&Events),
    ) -> Result<(), RebuildError> {
        let Some(from) = generations.first().map(|first| first.position) else { return Ok(()) };
        let store = &self.inner.store;
        // What is read ahead or written behind ends with this future, whatever ends it.
        let (mut reading, mut writing) = (JoinSet::new(), JoinSet::new());
        let (sender, mut ahead) = mpsc::channel(READ_AHEAD);
        reading.spawn(self.clone().read_ahead(from, until, sender));
        while let Some(batch) = ahead.recv().await {
            let batch = batch?;
            let folded = batch::fold(store, generations, &batch.0).await?;
            let changes = folded.ok_or(RebuildError::Superseded)?;
            let step = batch::prepare(store, generations, &changes, batch.1)?;
            batch::remember(generations, &changes, batch.1);
            written(&mut writing).await?;
            if let Some(step) = step {
                writing.spawn(step.store());
            }
            seen(&batch);
            for generation in generations.iter() {
                let (projection, position) = (generation.projection.name(), generation.position);
                progress(Progress { projection, position, head: until });
            }
        }
        written(&mut writing).await?;
        match reading.join_next().await {
            Some(Err(panicked)) => Err(RebuildError::Unavailable(panicked.into())),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Reads all between two positions, some batches before they are asked for.
    async fn read_ahead(
        self,
        mut after: Position,
        until: Position,
        batches: mpsc::Sender<Result<Events, ReadError>>,
    ) {
        while after < until {
            let batch = self.read_between(after, until, BATCH).await;
            // After an error, there is nothing to go on from.
            after = batch.as_ref().map_or(until, |(_, to)| *to);
            if batches.send(batch).await.is_err() {
                return;
            }
        }
    }

    /// Some events after a position and up to another one, and the position that they lead to.
    pub(crate) async fn read_between(
        &self,
        after: Position,
        until: Position,
        limit: usize,
    ) -> Result<Events, ReadError> {
        let distance = usize::try_from(until.0.saturating_sub(after.0)).unwrap_or(limit);
        let mut events = self.inner.log.read_all(after, distance.min(limit)).await?;
        let is_last = events.last().is_none_or(|last| last.position > until);
        events.retain(|envelope| envelope.position <= until);
        let to = events.last().filter(|_| !is_last).map_or(until, |last| last.position);
        Ok((events, to))
    }
}

/// Waits for the batch that is being written, if one is.
async fn written(writing: &mut JoinSet<Result<bool, StoreError>>) -> Result<(), RebuildError> {
    match writing.join_next().await {
        None | Some(Ok(Ok(true))) => Ok(()),
        Some(Ok(Ok(false))) => Err(RebuildError::Superseded),
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Err(error)) => Err(RebuildError::Unavailable(error.into())),
    }
}
