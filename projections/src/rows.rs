//! The store under the read models: documents by key in one table a generation, and small SQL that is the same on
//! both databases. All that differs between them is in [`postgres`] and [`sqlite`], which have the same verbs.

mod advance;
#[cfg(test)]
pub(crate) mod memory;
mod postgres;
mod sqlite;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rivet_events::database::{
    BEGIN_DERIVED, Database, Durability, SpareConnections, SqliteDatabase, SqliteTransaction,
};
use rivet_events::log::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection};

pub(crate) use self::advance::{Advance, Prepared};
use crate::projection::Schema;
use crate::query::Value;

/// Where rows and checkpoints are kept.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Postgres {
        pool: PgPool,
        /// For batches. Each is a statement by what it changes, which a connection has to prepare once.
        writers: Arc<SpareConnections>,
        /// For what is asked all the time.
        readers: Arc<SpareConnections>,
    },
    Sqlite(SqliteDatabase),
}

/// What a batch writes follows from the log: its commit need not wait for the disk. Plans are made once a connection,
/// while the tables may be small: they must still be right when these are not.
const WRITER_SESSION: &str = "
    set synchronous_commit = off;
    set jit = off;
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off";

/// How long a step, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is given up here is soon given up there.
const READER_SESSION: &str = "set statement_timeout = '30s'; set jit = off";

/// As many of each at a time.
const WRITERS: usize = 4;
const READERS: usize = 8;

/// A connection of its own, outside of any transaction.
pub(crate) enum Reader {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

/// All of it or nothing. Dropped without a commit, it is rolled back.
pub(crate) enum Transaction<'a> {
    Postgres(sqlx::Transaction<'static, Postgres>),
    Sqlite(SqliteTransaction<'a>),
}

/// Something to run statements on.
pub(crate) enum Connection<'a> {
    Postgres(&'a mut PgConnection),
    Sqlite(&'a mut SqliteConnection),
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        match database {
            Database::Postgres(pool) => {
                let writers = Arc::new(SpareConnections::new(&pool, WRITERS, PATIENCE, WRITER_SESSION));
                let readers = Arc::new(SpareConnections::new(&pool, READERS, PATIENCE, READER_SESSION));
                Self::Postgres { pool, writers, readers }
            }
            Database::Sqlite(sqlite) => Self::Sqlite(sqlite),
        }
    }

    /// Whether several processes may share the database for good.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Postgres { .. } => true,
            Self::Sqlite(_) => false,
        }
    }

    pub(crate) async fn reader(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Postgres { pool, .. } => Reader::Postgres(pool.acquire().await?),
            Self::Sqlite(sqlite) => Reader::Sqlite(sqlite.readers.acquire().await?),
        })
    }

    /// The rows of a query, as in [`Connection::query`].
    pub(crate) async fn query(&self, text: &str, args: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        match self {
            Self::Postgres { readers, .. } => {
                readers.run(async |connection| Connection::Postgres(connection).query(text, args).await).await
            }
            Self::Sqlite(_) => self.reader().await?.connection().query(text, args).await,
        }
    }

    /// Begins a transaction whose commit need not be on disk: what it writes follows from the log.
    pub(crate) async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        Ok(match self {
            Self::Postgres { pool, .. } => Transaction::Postgres(pool.begin_with(BEGIN_DERIVED).await?),
            Self::Sqlite(sqlite) => Transaction::Sqlite(sqlite.begin(Durability::Derived).await?),
        })
    }

    /// Makes ready what stores a step of read models.
    pub(crate) fn prepare(&self, advance: Advance<'_>) -> Result<Prepared, StoreError> {
        Ok(match self {
            Self::Postgres { writers, .. } => {
                Prepared::Postgres(Arc::clone(writers), postgres::prepare(advance)?)
            }
            Self::Sqlite(sqlite) => Prepared::Sqlite(sqlite.clone(), sqlite::prepare(advance)?),
        })
    }

    /// A connection that sees the database as it is at its first statement.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(match self {
            Self::Postgres { pool, .. } => {
                Snapshot::Postgres(pool.begin_with(postgres::BEGIN_SNAPSHOT).await?)
            }
            Self::Sqlite(sqlite) => Snapshot::Sqlite(sqlite.readers.begin().await?),
        })
    }
}

/// A reading transaction.
pub(crate) enum Snapshot {
    Postgres(sqlx::Transaction<'static, Postgres>),
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

impl Snapshot {
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(transaction) => Connection::Postgres(transaction),
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
        }
    }
}

impl Reader {
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(connection) => Connection::Postgres(connection),
            Self::Sqlite(connection) => Connection::Sqlite(connection),
        }
    }
}

impl Transaction<'_> {
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(transaction) => Connection::Postgres(transaction),
            Self::Sqlite(transaction) => Connection::Sqlite(transaction.connection()),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(transaction) => transaction.commit().await?,
            Self::Sqlite(transaction) => transaction.commit().await?,
        }
        Ok(())
    }
}

impl Connection<'_> {
    /// The rows of a query. In its text, `{now}` stands for the time by the clock of the database, in microseconds.
    pub(crate) async fn query(&mut self, text: &str, args: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        Ok(match self {
            Self::Postgres(connection) => postgres::query(connection, &postgres::text(text), args).await?,
            Self::Sqlite(connection) => sqlite::query(connection, &sqlite::text(text), args).await?,
        })
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&mut self, text: &str, args: &[Value]) -> Result<u64, StoreError> {
        Ok(match self {
            Self::Postgres(connection) => postgres::execute(connection, &postgres::text(text), args).await?,
            Self::Sqlite(connection) => sqlite::execute(connection, &sqlite::text(text), args).await?,
        })
    }

    /// Waits for the one right to change which generations there are, until the transaction ends.
    pub(crate) async fn lock_generations(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(connection) => postgres::lock_generations(connection).await?,
            // A writing transaction is alone as it is.
            Self::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Fails where it would have to wait for more than a moment for another transaction, until this one ends.
    pub(crate) async fn wait_briefly(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(connection) => postgres::wait_briefly(connection).await?,
            // A writing transaction is alone, and readers are in nobody's way.
            Self::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Makes the table of a generation, without its secondary indexes.
    pub(crate) async fn create_table(&mut self, table: &str, schema: Schema) -> Result<(), StoreError> {
        // One of that name may be left of an earlier life of this store.
        self.drop_table(table).await?;
        let text = match self {
            Self::Postgres(_) => postgres::create_table(table, schema),
            Self::Sqlite(_) => sqlite::create_table(table, schema),
        };
        self.execute(&text, &[]).await?;
        Ok(())
    }

    pub(crate) async fn drop_table(&mut self, table: &str) -> Result<(), StoreError> {
        self.execute(&format!("drop table if exists {table}"), &[]).await?;
        Ok(())
    }

    /// The documents stored under these keys.
    pub(crate) async fn load(
        &mut self,
        table: &str,
        keys: &[String],
    ) -> Result<HashMap<String, String>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(match self {
            Self::Postgres(connection) => postgres::load(connection, table, keys).await?,
            Self::Sqlite(connection) => sqlite::load(connection, table, keys).await?,
        })
    }

    /// Deletes the rows with these keys.
    pub(crate) async fn delete(&mut self, table: &str, keys: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Postgres(connection) => postgres::delete(connection, table, keys).await?,
            Self::Sqlite(connection) => sqlite::delete(connection, table, keys).await?,
        }
        Ok(())
    }

    /// Stores a step of read models, as a part of the transaction. False as in [`Prepared::store`].
    pub(crate) async fn advance(&mut self, advance: Advance<'_>) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(connection) => postgres::advance(connection, postgres::prepare(advance)?).await,
            Self::Sqlite(connection) => sqlite::advance(connection, sqlite::prepare(advance)?).await,
        }
    }
}

/// The statements that make the secondary indexes of a table.
pub(crate) fn create_indexes(table: &str, schema: Schema) -> Vec<String> {
    let index = |(n, columns): (usize, &&[&str])| {
        format!("create index if not exists {table}_{n} on {table} ({})", columns.join(", "))
    };
    schema.indexes.iter().enumerate().map(index).collect()
}

/// Whether the database says that a table is not there (any more).
pub(crate) fn is_missing_table(error: &StoreError) -> bool {
    let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>() else { return false };
    error.code().as_deref() == Some(postgres::UNDEFINED_TABLE) || error.message().starts_with("no such table")
}
