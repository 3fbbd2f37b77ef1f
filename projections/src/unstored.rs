//! The write-behind buffer of the projector: rows that are folded, and not stored yet.
//!
//! A query by key is answered from it before the database has the row, and a row that changes several times meanwhile
//! is stored once.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_events::Position;
use tokio::sync::watch;

use crate::checkpoint::Checkpoint;
use crate::folding::{Changes, Upsert};
use crate::parked::ParkedStream;
use crate::row_cache::Row;

/// The changes by which the projector of this process is ahead of the database.
#[derive(Default)]
pub(crate) struct Unstored {
    tables: Mutex<Tables>,
    /// The database and this buffer together have every event up to here; 0 after the buffer was cleared.
    folded: watch::Sender<Position>,
}

#[derive(Default)]
struct Tables {
    by_name: HashMap<String, Table>,
    /// Total length of all documents.
    bytes: usize,
}

/// The changes to one generation.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, Row>,
    parked: Vec<ParkedStream>,
}

impl Unstored {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the events up to `position` are folded. Waits for ever if this process does not run the projector.
    pub(crate) async fn wait_for(&self, position: Position) {
        // The channel cannot close: its sender is in `self`.
        let _ = self.folded.subscribe().wait_for(|folded| *folded >= position).await;
    }

    /// The documents of a range of keys, in the order of the keys; `None` for a row that was deleted. There is no
    /// answer (`None`) if the buffer has nothing of the table, or the events up to `position` are not all folded.
    pub(crate) fn documents(
        &self,
        table: &str,
        keys: RangeInclusive<&str>,
        position: Position,
    ) -> Option<Vec<Option<Arc<str>>>> {
        let tables = self.tables();
        let known = tables.by_name.get(table).filter(|_| *self.folded.borrow() >= position)?;
        let keys = (Bound::Included(*keys.start()), Bound::Included(*keys.end()));
        Some(known.rows.range::<str, _>(keys).map(|(_, row)| row.document.clone()).collect())
    }

    /// Adds the changes that a batch, which ends at `to`, makes to these generations.
    pub(crate) fn put(&self, checkpoints: &[Checkpoint], changes: Vec<Changes>, to: Position) {
        let Tables { by_name, bytes } = &mut *self.tables();
        for (checkpoint, changes) in checkpoints.iter().zip(changes) {
            let Table { rows, parked } = by_name.entry(checkpoint.table()).or_default();
            let upserts = changes.upserts.into_iter().map(|Upsert { key, document }| (key, Some(document)));
            let deletes = changes.deletes.into_iter().map(|key| (key, None));
            for (key, document) in upserts.chain(deletes) {
                let row = Row { position: to, document };
                *bytes += row.bytes();
                *bytes -= rows.insert(key, row).as_ref().map_or(0, Row::bytes);
            }
            parked.extend(changes.parked);
        }
        self.folded.send_replace(to);
    }

    /// Total length of all documents.
    pub(crate) fn bytes(&self) -> usize {
        self.tables().bytes
    }

    /// Copies all changes to these generations, for storing them. Rows are in the order of their keys, which is that
    /// of the index that they go into.
    pub(crate) fn copied(&self, checkpoints: &[Checkpoint]) -> Vec<Changes> {
        let tables = self.tables();
        let changes = |checkpoint: &Checkpoint| {
            let mut changes = Changes::default();
            let Some(table) = tables.by_name.get(&checkpoint.table()) else { return changes };
            for (key, row) in &table.rows {
                match &row.document {
                    Some(document) => {
                        changes.upserts.push(Upsert { key: key.clone(), document: document.clone() });
                    }
                    None => changes.deletes.push(key.clone()),
                }
            }
            changes.parked.clone_from(&table.parked);
            changes
        };
        checkpoints.iter().map(changes).collect()
    }

    /// Removes the changes up to `to`, which are stored now.
    pub(crate) fn stored(&self, to: Position) {
        let Tables { by_name, bytes } = &mut *self.tables();
        for table in by_name.values_mut() {
            table.parked.retain(|parked| parked.position > to);
            table.rows.retain(|_, row| {
                let stays = row.position > to;
                *bytes -= if stays { 0 } else { row.bytes() };
                stays
            });
        }
    }

    /// Empties the buffer.
    pub(crate) fn clear(&self) {
        let mut tables = self.tables();
        *tables = Tables::default();
        self.folded.send_replace(Position::default());
    }
}

#[cfg(test)]
mod tests;
