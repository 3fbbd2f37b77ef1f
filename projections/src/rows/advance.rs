//! A step: the changes that a batch makes to read models at the same position, and the position that they advance to.
//! Either all of it is stored, or nothing (I4).

use std::sync::Arc;

use rivet_events::Position;
use rivet_events::database::{DedicatedPool, SqliteDatabase};
use rivet_events::log::StoreError;

use super::{postgres, sqlite};
use crate::checkpoint::{Checkpoint, condition_for};
use crate::columns;
use crate::folding::Changes;
use crate::parked::ParkedStream;
use crate::projection::Schema;
use crate::query::Value;

/// One step of generations that are all at the same position.
#[derive(Clone, Copy)]
pub(crate) struct Advance<'a> {
    checkpoints: &'a [Checkpoint],
    first: &'a Checkpoint,
    /// The changes to the rows of each.
    changes: &'a [Changes],
    to: Position,
}

/// A step of read models as a statement, ready to be stored.
pub(crate) enum Prepared {
    Postgres(Arc<DedicatedPool>, postgres::Statement),
    Sqlite(SqliteDatabase, sqlite::Statement),
}

impl Prepared {
    /// Stores the step in one round trip, in a transaction of its own with the durability of
    /// [`Store::begin`](super::Store::begin). False if a checkpoint is not where the step begins: then nothing was
    /// stored.
    pub(crate) async fn store(self) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(writers, statement) => {
                writers.run(async |connection| postgres::advance(connection, statement).await).await
            }
            Self::Sqlite(sqlite, statement) => sqlite::advance_alone(&sqlite, statement).await,
        }
    }
}

/// The changes of a batch to the rows of one table.
pub(super) struct TableChanges<'a> {
    pub(super) table: String,
    pub(super) schema: Schema,
    pub(super) changes: &'a Changes,
}

/// A stream that a generation parks.
pub(super) struct Parked<'a> {
    pub(super) projection: &'static str,
    pub(super) generation: i64,
    pub(super) stream: String,
    pub(super) position: i64,
    pub(super) error: &'a str,
}

impl<'a> Advance<'a> {
    pub(crate) fn new(checkpoints: &'a [Checkpoint], changes: &'a [Changes], to: Position) -> Self {
        let first = checkpoints.first().expect("invariant: a step moves at least one generation");
        Self { checkpoints, first, changes, to }
    }

    /// The position before the step, and the one after it.
    pub(super) fn positions(self) -> (i64, i64) {
        (self.first.position.to_sql(), self.to.to_sql())
    }

    /// The number of checkpoints.
    pub(super) fn count(self) -> usize {
        self.checkpoints.len()
    }

    /// A condition: a row of `checkpoints` is one of them.
    pub(super) fn condition(self) -> String {
        format!("state = '{}' and {}", self.first.state.as_str(), condition_for(self.checkpoints))
    }

    /// The tables whose rows change.
    pub(super) fn tables(self) -> impl Iterator<Item = TableChanges<'a>> {
        let of_table = |(checkpoint, changes): (&Checkpoint, &'a Changes)| TableChanges {
            table: checkpoint.table(),
            schema: checkpoint.projection.schema(),
            changes,
        };
        let has_any =
            |of: &TableChanges<'_>| !of.changes.upserts.is_empty() || !of.changes.deletes.is_empty();
        self.checkpoints.iter().zip(self.changes).map(of_table).filter(has_any)
    }

    /// The streams that are parked.
    pub(super) fn parked(self) -> Vec<Parked<'a>> {
        let parked = |(checkpoint, changes): (&'a Checkpoint, &'a Changes)| {
            let of = |parked: &'a ParkedStream| Parked {
                projection: checkpoint.projection.name(),
                generation: checkpoint.generation,
                stream: parked.stream.to_string(),
                position: parked.position.to_sql(),
                error: &parked.error,
            };
            changes.parked.iter().map(of)
        };
        self.checkpoints.iter().zip(self.changes).flat_map(parked).collect()
    }
}

impl TableChanges<'_> {
    /// The columns of each upserted row.
    pub(super) fn columns(&self) -> Result<Vec<Vec<Value>>, serde_json::Error> {
        self.changes.upserts.iter().map(|upsert| columns::of(self.schema, &upsert.document)).collect()
    }

    /// The lists of columns in an upsert: their names, and the assignments of the new values.
    pub(super) fn names(&self) -> (String, String) {
        let columns = self.schema.columns.iter().map(|column| column.name);
        let names: Vec<&str> = ["key", "document"].into_iter().chain(columns).collect();
        let assignments: Vec<String> =
            names.iter().skip(1).map(|name| format!("{name} = excluded.{name}")).collect();
        (names.join(", "), assignments.join(", "))
    }
}
