//! One batch of events into some generations that stand at the same position: load, fold, and write rows and
//! checkpoints together. The projector, a rebuild and a verification all go through here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use rivet_events::log::StoreError;
use rivet_events::{Envelope, Position};

use crate::checkpoint::{self, Checkpoint};
use crate::projection::Changes;
use crate::rows::{Connection, Store};

/// Brings `checkpoints`, all at one position, past the `events` that follow it up to the position `to`. False if another
/// process has moved one of them: then nothing was written, and the checkpoints must be read again.
pub(crate) async fn advance(
    store: &Store,
    checkpoints: &mut [Checkpoint],
    events: &[Arc<Envelope>],
    to: Position,
) -> Result<bool, StoreError> {
    let changes = {
        let mut reader = store.reader().await?;
        fold(&mut reader.connection(), checkpoints, events).await?
    };
    let mut transaction = store.begin().await?;
    let moved = write(&mut transaction.connection(), checkpoints, &changes, to).await?;
    if moved {
        transaction.commit().await?;
        remember(checkpoints, changes, to);
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
    let changes = fold(connection, checkpoints, events).await?;
    let moved = write(connection, checkpoints, &changes, to).await?;
    if moved {
        remember(checkpoints, changes, to);
    }
    Ok(moved)
}

async fn fold(
    connection: &mut Connection<'_>,
    checkpoints: &[Checkpoint],
    events: &[Arc<Envelope>],
) -> Result<Vec<Changes>, StoreError> {
    let mut changes = Vec::with_capacity(checkpoints.len());
    for checkpoint in checkpoints {
        let events = &*without(events, &checkpoint.skipped);
        let keys = checkpoint.projection.keys(events, &checkpoint.parked);
        let stored = connection.load(&checkpoint.table(), &keys).await?;
        changes.push(checkpoint.projection.fold(stored, events, &checkpoint.parked));
    }
    Ok(changes)
}

/// The events of a batch, without those that an operator decided to skip.
fn without<'a>(events: &'a [Arc<Envelope>], skipped: &BTreeSet<Position>) -> Cow<'a, [Arc<Envelope>]> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return events.into() };
    if skipped.range(first.position..=last.position).next().is_none() {
        return events.into();
    }
    events.iter().filter(|envelope| !skipped.contains(&envelope.position)).cloned().collect()
}

async fn write(
    connection: &mut Connection<'_>,
    checkpoints: &[Checkpoint],
    changes: &[Changes],
    to: Position,
) -> Result<bool, StoreError> {
    if !checkpoint::advance(connection, checkpoints, to).await? {
        return Ok(false);
    }
    for (checkpoint, changes) in checkpoints.iter().zip(changes) {
        connection.save(&checkpoint.table(), changes).await?;
        for parked in &changes.parked {
            checkpoint::park(connection, checkpoint, parked).await?;
        }
    }
    Ok(true)
}

fn remember(checkpoints: &mut [Checkpoint], changes: Vec<Changes>, to: Position) {
    for (checkpoint, changes) in checkpoints.iter_mut().zip(changes) {
        checkpoint.position = to;
        for parked in changes.parked {
            tracing::error!(
                projection.name = checkpoint.projection.name(),
                stream.id = %parked.stream,
                event.position = parked.position.0,
                error = parked.error,
                "an event cannot be applied: its stream is parked in this projection"
            );
            checkpoint.parked.insert(parked.stream);
        }
    }
}
