//! Folds many events into generations that nobody reads yet, for a rebuild or a verification, as a pipeline: while one
//! batch is folded, the next one is read from the log and the one before is written to the database.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use rivet_events::log::{ReadError, StoreError};
use rivet_events::{Envelope, Position};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::batch::{self, Batch};
use crate::checkpoint::{self, Generation};
use crate::read_models::ReadModels;
use crate::rebuild::{Progress, RebuildError};

/// Events in one batch. The rows that a batch changes stay in the row cache until they are written, since the next batch is
/// folded before that: so the cache has to have room for more
/// ([`Projection::CACHED_ROWS`](crate::projection::Projection::CACHED_ROWS)).
pub(crate) const BATCH: usize = 4000;
/// Batches that were read and wait to be folded.
const READ_AHEAD: usize = 1;
/// Batches that are read concurrently: while the events of one are decoded here, the database reads the next.
const CONCURRENT_READS: usize = 2;

/// The events of a range of positions, and the last position of the range. Where events were archived, no event may be at
/// that position.
pub(crate) type Events = (Vec<Arc<Envelope>>, Position);

impl ReadModels {
    /// Folds and stores everything up to `until` exactly, into generations that are all at the same position. `progress` and
    /// `seen` are called for each batch.
    pub(crate) async fn fill(
        &self,
        generations: &mut [Generation],
        until: Position,
        progress: &(impl Fn(Progress) + Send + Sync),
        mut seen: impl FnMut(&Events),
    ) -> Result<(), RebuildError> {
        let Some(from) = generations.first().map(|first| first.checkpoint.position) else { return Ok(()) };
        let store = &self.inner.store;
        // Dropping these sets aborts their tasks, so that nothing is read or written after this future has ended.
        let (mut reading, mut writing) = (JoinSet::new(), JoinSet::new());
        let (sender, mut ahead) = mpsc::channel(READ_AHEAD);
        reading.spawn(self.clone().read_ahead(from, until, sender));
        let mut stored = from;
        while let Some(read) = ahead.recv().await {
            let read = read?;
            let (mut events, to) = (&read.0[..], read.1);
            // Nothing is stored for a range whose events were all archived or purged.
            if events.is_empty() && to < until {
                seen(&read);
                continue;
            }
            // Large rows take more than one step.
            while stored < to {
                let batch = Batch { events, to };
                let folded = batch::fold(store, generations, batch).await?.ok_or(RebuildError::Superseded)?;
                let step = batch::prepare(store, &checkpoint::of(generations), &folded.changes, folded.to)?;
                batch::remember(generations, &folded);
                written(&mut writing).await?;
                batch::stored(generations, stored);
                (events, stored) = (&events[folded.events..], folded.to);
                writing.spawn(step.store());
                for Generation { checkpoint, .. } in generations.iter() {
                    let (projection, position) = (checkpoint.projection.name(), checkpoint.position);
                    progress(Progress { projection, position, head: until });
                }
            }
            seen(&read);
        }
        written(&mut writing).await?;
        match reading.join_next().await {
            Some(Err(panicked)) => Err(RebuildError::Unavailable(panicked.into())),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Reads everything between two positions, some batches ahead of the fold.
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
            // Large events take more than one read.
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

    /// The next batch after a position, not beyond `until`.
    pub(crate) async fn read_batch(&self, after: Position, until: Position) -> Result<Events, ReadError> {
        self.inner.log.read_range(after, batch_end(after.0, until)).await
    }
}

/// The last position of the batch after position `after`.
fn batch_end(after: u64, until: Position) -> Position {
    until.min(Position(after + BATCH as u64))
}

/// Waits for the batch that is being written, if there is one.
async fn written(writing: &mut JoinSet<Result<bool, StoreError>>) -> Result<(), RebuildError> {
    match writing.join_next().await {
        None | Some(Ok(Ok(true))) => Ok(()),
        Some(Ok(Ok(false))) => Err(RebuildError::Superseded),
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Err(error)) => Err(RebuildError::Unavailable(error.into())),
    }
}
