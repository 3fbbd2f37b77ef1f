//! Applies one batch of events to generations that are at the same position: load the rows, fold, and write rows and
//! checkpoints in one transaction. The projector, a rebuild and a verification all use it.
//!
//! [`advance`] does all of it. The others are its parts, for callers that store a batch while the next one is folded.
//! Where the rows are large, only the first of the events are folded, and the caller goes on from where they end.

mod lookup;

use std::sync::Arc;

use rivet_events::log::StoreError;
use rivet_events::{Envelope, Position};

use self::lookup::Lookups;
use crate::checkpoint::{self, Checkpoint, Generation};
use crate::folding::Changes;
use crate::rows::{Advance, Connection, Prepared, Store};

/// Events that follow each other in the log.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) events: &'a [Arc<Envelope>],
    /// The position that they lead to.
    pub(crate) to: Position,
}

/// What a batch changes.
pub(crate) struct Folded {
    /// The changes to each of the generations.
    pub(crate) changes: Vec<Changes>,
    /// How many of the events are folded: at least one, if there are any.
    pub(crate) events: usize,
    /// The position that they lead to.
    pub(crate) to: Position,
}

/// Advances generations, which are all at the position before the batch, by as much of it as is folded. False if
/// another process has moved one of them: then nothing was written, and the checkpoints must be read again.
pub(crate) async fn advance(
    store: &Store,
    generations: &mut [Generation],
    batch: Batch<'_>,
) -> Result<bool, StoreError> {
    let Some(folded) = fold(store, generations, batch).await? else { return Ok(false) };
    let moved = commit(store, &checkpoint::of(generations), &folded.changes, folded.to).await?;
    if moved {
        remember(generations, &folded);
        stored(generations, folded.to);
    }
    Ok(moved)
}

/// As [`advance`], in the caller's transaction.
pub(crate) async fn advance_in(
    connection: &mut Connection<'_>,
    generations: &mut [Generation],
    batch: Batch<'_>,
) -> Result<bool, StoreError> {
    let mut lookups = Lookups::new(generations, batch.events);
    lookups.load(connection, generations).await?;
    let folded = apply(lookups, generations, batch);
    let checkpoints = checkpoint::of(generations);
    let moved = connection.advance(Advance::new(&checkpoints, &folded.changes, folded.to)).await?;
    if moved {
        remember(generations, &folded);
        stored(generations, folded.to);
    }
    Ok(moved)
}

/// Folds the events into the rows, which are taken from the cache or loaded. `None` if another process has advanced
/// one of the checkpoints: then loaded rows may already contain events that are still to be folded here.
pub(crate) async fn fold(
    store: &Store,
    generations: &mut [Generation],
    batch: Batch<'_>,
) -> Result<Option<Folded>, StoreError> {
    let mut lookups = Lookups::new(generations, batch.events);
    if lookups.is_incomplete() {
        let load = async {
            let mut reader = store.reader().await?;
            let mut connection = reader.connection();
            lookups.load(&mut connection, generations).await?;
            checkpoint::are_overtaken(&mut connection, &checkpoint::of(generations)).await
        };
        if store.limited(load).await? {
            return Ok(None);
        }
    }
    Ok(Some(apply(lookups, generations, batch)))
}

fn apply(lookups: Lookups<'_>, generations: &[Generation], batch: Batch<'_>) -> Folded {
    let events = lookups.events();
    let is_whole = events.len() == batch.events.len();
    let to = events.last().filter(|_| !is_whole).map_or(batch.to, |last| last.position);
    Folded { events: events.len(), to, changes: lookups.fold(generations) }
}

/// Writes the changes that [`fold`] made to each of the checkpoints, in one transaction. False as in [`advance`].
pub(crate) async fn commit(
    store: &Store,
    checkpoints: &[Checkpoint],
    changes: &[Changes],
    to: Position,
) -> Result<bool, StoreError> {
    prepare(store, checkpoints, changes, to)?.store().await
}

/// Prepares what [`commit`] executes.
pub(crate) fn prepare(
    store: &Store,
    checkpoints: &[Checkpoint],
    changes: &[Changes],
    to: Position,
) -> Result<Prepared, StoreError> {
    store.prepare(Advance::new(checkpoints, changes, to))
}

/// Moves generations in memory to where the batch leads, and caches the changed rows. They may not be stored yet.
pub(crate) fn remember(generations: &mut [Generation], &Folded { ref changes, to, .. }: &Folded) {
    for (generation, changes) in generations.iter_mut().zip(changes) {
        generation.checkpoint.position = to;
        for upsert in &changes.upserts {
            generation.row_cache.put(&upsert.key, Some(&upsert.document), to);
        }
        for key in &changes.deletes {
            generation.row_cache.put(key, None, to);
        }
        for parked in &changes.parked {
            tracing::error!(
                projection.name = generation.checkpoint.projection.name(),
                stream.id = %parked.stream,
                event.position = parked.position.0,
                error = parked.error,
                "an event cannot be applied: its stream is parked in this projection"
            );
            generation.parked.insert(parked.stream.clone());
        }
    }
}

/// Tells the row caches that all changes up to `position` are stored, so that they can evict rows.
pub(crate) fn stored(generations: &mut [Generation], position: Position) {
    for generation in generations {
        generation.row_cache.stored(position);
    }
}
