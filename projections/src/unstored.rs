//! Rows that are folded and not stored yet: so a row can be told by its key before the database has it, and one that
//! changes again meanwhile is stored once.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rivet_events::Position;
use tokio::sync::watch;

use crate::checkpoint::Checkpoint;
use crate::folding::{Changes, Upsert};
use crate::parked::ParkedStream;

/// How far the projector of this process is ahead of the database, and with what.
#[derive(Default)]
pub(crate) struct Unstored {
    tables: Mutex<Tables>,
    /// Every event up to here is in what is stored together with what is here; 0 where nothing is known.
    folded: watch::Sender<Position>,
}

#[derive(Default)]
struct Tables {
    by_name: HashMap<String, Table>,
    /// The length of all documents.
    bytes: usize,
    /// All up to here is stored, or on its way.
    taken: Position,
}

/// Of one generation.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, Row>,
    parked: Vec<ParkedStream>,
}

struct Row {
    /// The end of the last batch that changed it.
    position: Position,
    /// None where the row is no more.
    document: Option<String>,
    /// Whether the database had none when it was folded.
    is_new: bool,
}

impl Row {
    fn bytes(&self) -> usize {
        self.document.as_ref().map_or(0, String::len)
    }

    /// Whether the database neither has the row nor is about to, where all up to `taken` is on its way.
    fn is_here_alone(&self, taken: Position) -> bool {
        self.is_new && self.position > taken
    }
}

impl Unstored {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the events up to `position` are folded. Never ends where this process does not fold them.
    pub(crate) async fn wait_for(&self, position: Position) {
        // It does not close: it is held here.
        let _ = self.folded.subscribe().wait_for(|folded| *folded >= position).await;
    }

    /// The documents of a range of keys, in the order of these, none for a row that is no more; if all up to `position` is
    /// known of the table.
    pub(crate) fn documents(
        &self,
        table: &str,
        keys: RangeInclusive<&str>,
        position: Position,
    ) -> Option<Vec<Option<String>>> {
        let tables = self.tables();
        let known = tables.by_name.get(table).filter(|_| *self.folded.borrow() >= position)?;
        let keys = (Bound::Included(*keys.start()), Bound::Included(*keys.end()));
        Some(known.rows.range::<str, _>(keys).map(|(_, row)| row.document.clone()).collect())
    }

    /// Takes in what a batch that ends at `to` made of these generations.
    pub(crate) fn put(&self, generations: &[Checkpoint], changes: Vec<Changes>, to: Position) {
        let Tables { by_name, bytes, taken } = &mut *self.tables();
        for (generation, changes) in generations.iter().zip(changes) {
            let Table { rows, parked } = by_name.entry(generation.table()).or_default();
            for Upsert { key, document, is_new } in changes.upserts {
                let before = rows.remove(&key);
                *bytes -= before.as_ref().map_or(0, Row::bytes);
                let is_new = before.map_or(is_new, |before| before.is_here_alone(*taken));
                let row = Row { position: to, document: Some(document), is_new };
                *bytes += row.bytes();
                rows.insert(key, row);
            }
            for key in changes.deletes {
                let before = rows.remove(&key);
                *bytes -= before.as_ref().map_or(0, Row::bytes);
                // One that came and went has never been there.
                if !before.is_some_and(|before| before.is_here_alone(*taken)) {
                    rows.insert(key, Row { position: to, document: None, is_new: false });
                }
            }
            parked.extend(changes.parked);
        }
        self.folded.send_replace(to);
    }

    /// The length of all documents.
    pub(crate) fn bytes(&self) -> usize {
        self.tables().bytes
    }

    /// All of it, of each of these generations, to be stored; in the order of the index that it goes into.
    pub(crate) fn take(&self, generations: &[Checkpoint]) -> Vec<Changes> {
        let mut tables = self.tables();
        tables.taken = *self.folded.borrow();
        let changes = |generation: &Checkpoint| {
            let mut changes = Changes::default();
            let Some(table) = tables.by_name.get(&generation.table()) else { return changes };
            for (key, row) in &table.rows {
                match &row.document {
                    Some(document) => {
                        let (key, document) = (key.clone(), document.clone());
                        changes.upserts.push(Upsert { key, document, is_new: row.is_new });
                    }
                    None => changes.deletes.push(key.clone()),
                }
            }
            changes.parked.clone_from(&table.parked);
            changes
        };
        generations.iter().map(changes).collect()
    }

    /// Lets go of what is stored: all up to `to`.
    pub(crate) fn stored(&self, to: Position) {
        let Tables { by_name, bytes, .. } = &mut *self.tables();
        for table in by_name.values_mut() {
            table.parked.retain(|parked| parked.position > to);
            table.rows.retain(|_, row| {
                let stays = row.position > to;
                *bytes -= if stays { 0 } else { row.bytes() };
                stays
            });
        }
    }

    /// Knows nothing any more.
    pub(crate) fn clear(&self) {
        let mut tables = self.tables();
        *tables = Tables::default();
        self.folded.send_replace(Position::default());
    }
}

#[cfg(test)]
mod tests;
