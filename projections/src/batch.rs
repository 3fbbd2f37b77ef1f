//! Applies one batch of events to generations that are at the same position: load the rows, fold, and write rows and
//! checkpoints in one transaction. The projector, a rebuild and a verification all use it.
//!
//! [`advance`] does all of it. The others are its parts, for callers that store a batch while the next one is folded.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use rivet_events::log::StoreError;
use rivet_events::{Envelope, Position};

use crate::checkpoint::{self, Checkpoint};
use crate::folding::{Changes, Touched};
use crate::row_cache::Cached;
use crate::rows::{Advance, Connection, Prepared, Store};

/// Advances `checkpoints`, which are all at one position, to the position `to`, by the `events` in between. False if
/// another process has moved one of them: then nothing was written, and the checkpoints must be read again.
pub(crate) async fn advance(
    store: &Store,
    checkpoints: &mut [Checkpoint],
    events: &[Arc<Envelope>],
    to: Position,
) -> Result<bool, StoreError> {
    let Some(changes) = fold(store, checkpoints, events).await? else { return Ok(false) };
    let moved = commit(store, checkpoints, &changes, to).await?;
    if moved {
        remember(checkpoints, &changes, to);
        stored(checkpoints, to);
    }
    Ok(moved)
}

/// As [`advance`], in the caller's transaction.
pub(crate) async fn advance_in(
    connection: &mut Connection<'_>,
    checkpoints: &mut [Checkpoint],
    events: &[Arc<Envelope>],
    to: Position,
) -> Result<bool, StoreError> {
    let mut lookups = look_up(checkpoints, events);
    load(connection, checkpoints, &mut lookups).await?;
    let changes = apply(checkpoints, lookups);
    let Some(advance) = Advance::new(checkpoints, &changes, to) else { return Ok(true) };
    let moved = connection.advance(advance).await?;
    if moved {
        remember(checkpoints, &changes, to);
        stored(checkpoints, to);
    }
    Ok(moved)
}

/// Folds the events into the rows, which are taken from the cache or loaded. `None` if another process has advanced
/// one of the checkpoints: then loaded rows may already contain events that are still to be folded here.
pub(crate) async fn fold(
    store: &Store,
    checkpoints: &mut [Checkpoint],
    events: &[Arc<Envelope>],
) -> Result<Option<Vec<Changes>>, StoreError> {
    let mut lookups = look_up(checkpoints, events);
    if lookups.iter().any(|lookup| !lookup.missing.is_empty()) {
        let mut reader = store.reader().await?;
        let mut connection = reader.connection();
        load(&mut connection, checkpoints, &mut lookups).await?;
        if checkpoint::are_overtaken(&mut connection, checkpoints).await? {
            return Ok(None);
        }
    }
    Ok(Some(apply(checkpoints, lookups)))
}

/// Writes the changes that [`fold`] made to each of the checkpoints, in one transaction. False as in [`advance`].
pub(crate) async fn commit(
    store: &Store,
    checkpoints: &[Checkpoint],
    changes: &[Changes],
    to: Position,
) -> Result<bool, StoreError> {
    match prepare(store, checkpoints, changes, to)? {
        Some(step) => step.store().await,
        None => Ok(true),
    }
}

/// Prepares what [`commit`] executes. `None` if there are no checkpoints.
pub(crate) fn prepare(
    store: &Store,
    checkpoints: &[Checkpoint],
    changes: &[Changes],
    to: Position,
) -> Result<Option<Prepared>, StoreError> {
    Advance::new(checkpoints, changes, to).map(|advance| store.prepare(advance)).transpose()
}

/// The events and rows of a batch, for one generation.
struct Lookup<'a> {
    events: Cow<'a, [Arc<Envelope>]>,
    touched: Touched,
    /// Keys of the rows that must be loaded, as they are not cached.
    missing: Vec<String>,
}

fn look_up<'a>(checkpoints: &mut [Checkpoint], events: &'a [Arc<Envelope>]) -> Vec<Lookup<'a>> {
    let look_up = |checkpoint: &mut Checkpoint| {
        let events = without(events, &checkpoint.skipped);
        let mut touched = checkpoint.projection.touched(&events, &checkpoint.parked);
        let mut missing = Vec::new();
        for row in touched.rows.iter_mut().filter(|row| row.may_be_stored) {
            match checkpoint.known_rows.get(&row.key) {
                Some(Cached::Row(document)) => row.document = Some(document.to_owned()),
                Some(Cached::NoRow) => {}
                None => missing.push(row.key.clone()),
            }
        }
        Lookup { events, touched, missing }
    };
    checkpoints.iter_mut().map(look_up).collect()
}

async fn load(
    connection: &mut Connection<'_>,
    checkpoints: &[Checkpoint],
    lookups: &mut [Lookup<'_>],
) -> Result<(), StoreError> {
    for (checkpoint, lookup) in checkpoints.iter().zip(lookups) {
        let mut stored = connection.load(&checkpoint.table(), &lookup.missing).await?;
        if !stored.is_empty() {
            for row in &mut lookup.touched.rows {
                row.document = row.document.take().or_else(|| stored.remove(&row.key));
            }
        }
    }
    Ok(())
}

fn apply(checkpoints: &[Checkpoint], lookups: Vec<Lookup<'_>>) -> Vec<Changes> {
    let apply = |(checkpoint, lookup): (&Checkpoint, Lookup<'_>)| {
        checkpoint.projection.fold(lookup.touched, &lookup.events)
    };
    checkpoints.iter().zip(lookups).map(apply).collect()
}

/// The events of a batch without those that operators decided to skip.
fn without<'a>(events: &'a [Arc<Envelope>], skipped: &BTreeSet<Position>) -> Cow<'a, [Arc<Envelope>]> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return events.into() };
    if skipped.range(first.position..=last.position).next().is_none() {
        return events.into();
    }
    events.iter().filter(|envelope| !skipped.contains(&envelope.position)).cloned().collect()
}

/// Moves the checkpoints to the position `to` in memory, and caches the changed rows. They may not be stored yet.
pub(crate) fn remember(checkpoints: &mut [Checkpoint], changes: &[Changes], to: Position) {
    for (checkpoint, changes) in checkpoints.iter_mut().zip(changes) {
        checkpoint.position = to;
        for upsert in &changes.upserts {
            checkpoint.known_rows.put(&upsert.key, Some(&upsert.document), to);
        }
        for key in &changes.deletes {
            checkpoint.known_rows.put(key, None, to);
        }
        for parked in &changes.parked {
            tracing::error!(
                projection.name = checkpoint.projection.name(),
                stream.id = %parked.stream,
                event.position = parked.position.0,
                error = parked.error,
                "an event cannot be applied: its stream is parked in this projection"
            );
            checkpoint.parked.insert(parked.stream.clone());
        }
    }
}

/// Tells the row caches that all changes up to `position` are stored, so that they can evict rows.
pub(crate) fn stored(checkpoints: &mut [Checkpoint], position: Position) {
    for checkpoint in checkpoints {
        checkpoint.known_rows.stored(position);
    }
}
