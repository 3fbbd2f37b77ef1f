//! One batch of events into some generations that stand at the same position: load, fold, and write rows and
//! checkpoints together. The projector, a rebuild and a verification all go through here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use rivet_events::log::StoreError;
use rivet_events::{Envelope, Position};

use crate::checkpoint::{self, Checkpoint};
use crate::folding::{Changes, Touched};
use crate::known_rows::Known;
use crate::rows::{Advance, Connection, Prepared, Store};

/// Brings `checkpoints`, all at one position, past the `events` that follow it up to the position `to`. False if another
/// process has moved one of them: then nothing was written, and the checkpoints must be read again.
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

/// The same, as a part of the caller's transaction.
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

/// What the events make of the rows, as they are stored or known. None if another process has moved one of the
/// checkpoints further: then there may be rows with events in them that are still to come here.
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

/// Writes what [`fold`] made of each of the checkpoints, in one transaction. False as in [`advance`].
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

/// What writes it. None where there is nothing to go anywhere.
pub(crate) fn prepare(
    store: &Store,
    checkpoints: &[Checkpoint],
    changes: &[Changes],
    to: Position,
) -> Result<Option<Prepared>, StoreError> {
    Advance::new(checkpoints, changes, to).map(|advance| store.prepare(advance)).transpose()
}

/// What one generation needs for a batch.
struct Lookup<'a> {
    events: Cow<'a, [Arc<Envelope>]>,
    touched: Touched,
    /// Keys of rows whose documents are yet to be loaded.
    missing: Vec<String>,
}

fn look_up<'a>(checkpoints: &mut [Checkpoint], events: &'a [Arc<Envelope>]) -> Vec<Lookup<'a>> {
    let look_up = |checkpoint: &mut Checkpoint| {
        let events = without(events, &checkpoint.skipped);
        let mut touched = checkpoint.projection.touched(&events, &checkpoint.parked);
        let mut missing = Vec::new();
        for row in touched.rows.iter_mut().filter(|row| row.may_be_stored) {
            match checkpoint.known_rows.get(&row.key) {
                Some(Known::Row(document)) => row.document = Some(document.to_owned()),
                Some(Known::NoRow) => {}
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

/// The events of a batch, without those that an operator decided to skip.
fn without<'a>(events: &'a [Arc<Envelope>], skipped: &BTreeSet<Position>) -> Cow<'a, [Arc<Envelope>]> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return events.into() };
    if skipped.range(first.position..=last.position).next().is_none() {
        return events.into();
    }
    events.iter().filter(|envelope| !skipped.contains(&envelope.position)).cloned().collect()
}

/// Goes on from the position `to` with the rows that are, or are about to be, stored there.
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

/// Keeps no more of the rows in memory than there is room for, now that all up to `position` is stored.
pub(crate) fn stored(checkpoints: &mut [Checkpoint], position: Position) {
    for checkpoint in checkpoints {
        checkpoint.known_rows.stored(position);
    }
}
