//! The store of the read models: a table for each generation with documents by key, and simple SQL that is the same
//! on both databases. Everything that differs between them is in [`postgres`] and [`sqlite`], which have the same
//! functions.

mod advance;
mod connection;
#[cfg(test)]
pub(crate) mod memory;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use rivet_events::database::{
    BEGIN_DERIVED, Database, DedicatedPool, Durability, SqliteDatabase, SqliteTransaction,
};
use rivet_events::log::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Sqlite};
use tokio::time::timeout;

pub(crate) use self::advance::{Advance, Prepared};
pub(crate) use self::connection::Connection;
use crate::projection::Schema;
use crate::query::{Query, Value};

/// The database that holds rows and checkpoints.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Postgres {
        pool: PgPool,
        /// For storing batches. The statement depends on which tables change, and each connection has to prepare each
        /// statement once.
        writers: Arc<DedicatedPool>,
        /// For queries, which are asked all the time.
        readers: Arc<DedicatedPool>,
    },
    Sqlite(SqliteDatabase),
}

/// The commit of a batch need not wait for the disk, since the log has all that it writes. Each connection plans a
/// statement once, when the tables may still be small; the plan must also suit large ones.
const WRITER_SESSION: &str = "
    set synchronous_commit = off;
    set jit = off;
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off";

/// How long storing a batch, answering a query, or a step of the projector or a rebuild may take. None that makes progress
/// takes that long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A query that this side has given up ends on the server soon too.
const READER_SESSION: &str = "set statement_timeout = '30s'; set jit = off";

/// Most connections of each kind.
const WRITERS: usize = 4;
const READERS: usize = 8;

/// A connection outside of any transaction.
pub(crate) enum Reader {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

/// A writing transaction. Dropped without a commit, it is rolled back.
pub(crate) enum Transaction<'a> {
    Postgres(sqlx::Transaction<'static, Postgres>),
    Sqlite(SqliteTransaction<'a>),
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        match database {
            Database::Postgres(postgres) => {
                let writers = Arc::new(DedicatedPool::new(&postgres, WRITERS, TIMEOUT, WRITER_SESSION));
                let readers = Arc::new(DedicatedPool::new(&postgres, READERS, TIMEOUT, READER_SESSION));
                Self::Postgres { pool: postgres.pool, writers, readers }
            }
            Database::Sqlite(sqlite) => Self::Sqlite(sqlite),
        }
    }

    /// Whether several server processes may share the database.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Postgres { .. } => true,
            Self::Sqlite(_) => false,
        }
    }

    /// Does this work, which fails if it takes too long on a database over a network, where an answer may never come, and
    /// the caller may be a reconciler that has to go on.
    pub(crate) async fn limited<T, E: From<StoreError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let limit = if self.is_shared() { TIMEOUT } else { Duration::MAX };
        // Boxed, since each layer of futures would otherwise have it once more.
        timeout(limit, Box::pin(work)).await.map_err(|elapsed| E::from(elapsed.into())).flatten()
    }

    pub(crate) async fn reader(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Postgres { pool, .. } => Reader::Postgres(pool.acquire().await?),
            Self::Sqlite(sqlite) => Reader::Sqlite(sqlite.readers.acquire().await?),
        })
    }

    /// The rows of a query, as in [`Connection::query`].
    pub(crate) async fn query(&self, query: &Query) -> Result<Vec<Vec<Value>>, StoreError> {
        match self {
            Self::Postgres { readers, .. } => {
                readers.run(async |connection| Connection::Postgres(connection).query(query).await).await
            }
            Self::Sqlite(_) => self.reader().await?.connection().query(query).await,
        }
    }

    /// Begins a transaction whose commit does not wait for the disk, since the log has all that it writes. Archiving
    /// and purging also delete from the log in it: if such a deletion is lost, it is repeated, as it is only recorded
    /// as done by an event of the log after it, whose commit is synced, and with it everything before.
    pub(crate) async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        Ok(match self {
            Self::Postgres { pool, .. } => Transaction::Postgres(pool.begin_with(BEGIN_DERIVED).await?),
            Self::Sqlite(sqlite) => Transaction::Sqlite(sqlite.begin(Durability::Derived).await?),
        })
    }

    /// Builds the statement that stores a step of read models.
    pub(crate) fn prepare(&self, advance: Advance<'_>) -> Result<Prepared, StoreError> {
        Ok(match self {
            Self::Postgres { writers, .. } => {
                Prepared::Postgres(Arc::clone(writers), postgres::prepare(advance)?)
            }
            Self::Sqlite(sqlite) => Prepared::Sqlite(sqlite.clone(), sqlite::prepare(advance)?),
        })
    }

    /// Begins a reading transaction, which sees the database as it is at its first statement.
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

/// The statements that create the secondary indexes of a table.
pub(crate) fn create_indexes(table: &str, schema: Schema) -> Vec<String> {
    let index = |(n, columns): (usize, &&[&str])| {
        format!("create index if not exists {table}_{n} on {table} ({})", columns.join(", "))
    };
    schema.indexes.iter().enumerate().map(index).collect()
}

/// Whether the error is that a table does not exist (any more).
pub(crate) fn is_missing_table(error: &StoreError) -> bool {
    let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>() else { return false };
    error.code().as_deref() == Some(postgres::UNDEFINED_TABLE) || error.message().starts_with("no such table")
}
