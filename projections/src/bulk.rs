//! Many events into generations that nobody reads yet: while one batch is folded and made ready, the next is read and the
//! one before is written.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
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
const READ_AHEAD: usize = 1;
/// Batches that are read at the same time: while the events of one are taken out of their texts, the database gives those
/// of the next one.
const CONCURRENT_READS: usize = 2;

/// The events of a range of positions, and its last position. Where events were taken out of the log, that is no event's
/// own.
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
        let mut stored = from;
        while let Some(batch) = ahead.recv().await {
            let batch = batch?;
            let folded = batch::fold(store, generations, &batch.0).await?;
            let changes = folded.ok_or(RebuildError::Superseded)?;
            let step = batch::prepare(store, generations, &changes, batch.1)?;
            batch::remember(generations, &changes, batch.1);
            written(&mut writing).await?;
            batch::stored(generations, stored);
            stored = batch.1;
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
        after: Position,
        until: Position,
        batches: mpsc::Sender<Result<Events, ReadError>>,
    ) {
        let ranges =
            (after.0..until.0).step_by(BATCH).map(|after| (Position(after), batch_end(after, until)));
        let read = async |(after, to)| (self.inner.log.read_range(after, to).await, to);
        let mut reads = pin!(stream::iter(ranges).map(read).buffered(CONCURRENT_READS));
        while let Some((mut batch, to)) = reads.next().await {
            // More than one read where the events are large.
            loop {
                let rest = batch.as_ref().ok().map(|(_, reached)| *reached).filter(|reached| *reached < to);
                if batches.send(batch).await.is_err() {
                    return;
                }
                let Some(reached) = rest else { break };
                batch = self.inner.log.read_range(reached, to).await;
            }
        }
    }

    /// The next batch after a position, which leads to `until` at most.
    pub(crate) async fn read_batch(&self, after: Position, until: Position) -> Result<Events, ReadError> {
        self.inner.log.read_range(after, batch_end(after.0, until)).await
    }
}

/// The last position of the batch that begins after a position.
fn batch_end(after: u64, until: Position) -> Position {
    until.min(Position(after + BATCH as u64))
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
