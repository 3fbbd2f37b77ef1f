//! A connection to either database, for simple SQL that is the same on both.

use std::collections::HashMap;
use std::sync::Arc;

use rivet_events::log::StoreError;
use sqlx::{PgConnection, SqliteConnection};

use super::{Advance, postgres, sqlite};
use crate::projection::Schema;
use crate::query::{Query, Value};

/// A connection to run statements on, within a transaction or not.
pub(crate) enum Connection<'a> {
    Postgres(&'a mut PgConnection),
    Sqlite(&'a mut SqliteConnection),
}

/// A row as it is stored.
pub(crate) struct StoredRow {
    /// The length of its document.
    pub(crate) bytes: usize,
    pub(crate) document: Option<Arc<str>>,
}

/// A key, the length of the document stored under it, and the document, if it was asked for.
pub(super) type LoadedRow = (String, i64, Option<String>);

impl Connection<'_> {
    /// Runs a query and returns its rows.
    pub(crate) async fn query(&mut self, query: &Query) -> Result<Vec<Vec<Value>>, StoreError> {
        let Query { text, args } = query;
        Ok(match self {
            Self::Postgres(connection) => postgres::query(connection, &postgres::text(text), args).await?,
            Self::Sqlite(connection) => sqlite::query(connection, &sqlite::text(text), args).await?,
        })
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: &Query) -> Result<u64, StoreError> {
        let Query { text, args } = statement;
        Ok(match self {
            Self::Postgres(connection) => postgres::execute(connection, &postgres::text(text), args).await?,
            Self::Sqlite(connection) => sqlite::execute(connection, &sqlite::text(text), args).await?,
        })
    }

    /// Waits for the lock that is needed to create or remove generations, and holds it until the transaction ends.
    pub(crate) async fn lock_generations(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(connection) => postgres::lock_generations(connection).await?,
            // There is only one writing transaction at a time.
            Self::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Makes the rest of the transaction fail where it would have to wait longer than a moment for a lock.
    pub(crate) async fn wait_briefly(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(connection) => postgres::wait_briefly(connection).await?,
            // There is only one writing transaction at a time, and readers block nobody.
            Self::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Creates the table of a generation, without its secondary indexes.
    pub(crate) async fn create_table(&mut self, table: &str, schema: Schema) -> Result<(), StoreError> {
        // A table of that name may be left over from before the checkpoints were dropped.
        self.drop_table(table).await?;
        let text = match self {
            Self::Postgres(_) => postgres::create_table(table, schema),
            Self::Sqlite(_) => sqlite::create_table(table, schema),
        };
        self.execute(&Query::new(&text)).await?;
        Ok(())
    }

    /// Adds the columns that the table of another build lacks. They are null in its rows until these change.
    pub(crate) async fn add_columns(&mut self, table: &str, schema: Schema) -> Result<(), StoreError> {
        let present = match self {
            Self::Postgres(connection) => postgres::columns(connection, table).await?,
            Self::Sqlite(connection) => sqlite::columns(connection, table).await?,
        };
        for column in schema.columns.iter().filter(|column| !present.iter().any(|name| name == column.name)) {
            let column = match self {
                Self::Postgres(_) => postgres::column(column),
                Self::Sqlite(_) => sqlite::column(column),
            };
            self.execute(&Query::new(&format!("alter table {table} add column {column}"))).await?;
        }
        Ok(())
    }

    pub(crate) async fn drop_table(&mut self, table: &str) -> Result<(), StoreError> {
        self.execute(&Query::new(&format!("drop table if exists {table}"))).await?;
        Ok(())
    }

    /// The rows stored under these keys, without their documents if these have more than `bytes` together.
    pub(crate) async fn load(
        &mut self,
        table: &str,
        keys: &[String],
        bytes: usize,
    ) -> Result<HashMap<String, StoredRow>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let rows = match self {
            Self::Postgres(connection) => postgres::load(connection, table, keys, bytes).await?,
            Self::Sqlite(connection) => sqlite::load(connection, table, keys, bytes).await?,
        };
        let row = |(key, bytes, document): LoadedRow| {
            Ok((key, StoredRow { bytes: usize::try_from(bytes)?, document: document.map(Into::into) }))
        };
        rows.into_iter().map(row).collect()
    }

    /// Deletes the rows with these keys.
    pub(crate) async fn delete(&mut self, table: &str, keys: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Postgres(connection) => postgres::delete(connection, table, keys).await?,
            Self::Sqlite(connection) => sqlite::delete(connection, table, keys).await?,
        }
        Ok(())
    }

    /// Stores a step of read models in the current transaction. False as in
    /// [`Prepared::store`](super::Prepared::store).
    pub(crate) async fn advance(&mut self, advance: Advance<'_>) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(connection) => postgres::advance(connection, postgres::prepare(advance)?).await,
            Self::Sqlite(connection) => sqlite::advance(connection, sqlite::prepare(advance)?).await,
        }
    }
}
