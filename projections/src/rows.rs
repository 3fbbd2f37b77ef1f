//! The store under the read models: documents by key in one table a generation, and small SQL that is the same on
//! both databases. All that differs between them is in [`postgres`] and [`sqlite`], which have the same verbs.

mod advance;
mod connection;
#[cfg(test)]
pub(crate) mod memory;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use rivet_events::database::{
    BEGIN_DERIVED, Database, Durability, SpareConnections, SqliteDatabase, SqliteTransaction,
};
use rivet_events::log::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Sqlite};

pub(crate) use self::advance::{Advance, Prepared};
pub(crate) use self::connection::Connection;
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
