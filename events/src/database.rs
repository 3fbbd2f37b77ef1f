//! The database under the log and the read models: PostgreSQL, or one SQLite file. This module opens it, keeps its
//! connections, and migrates the schema of the log.

mod checkpointer;
mod dedicated;
mod last_seen;
mod outages;
mod packed;
mod postgres;
mod schema;
mod sqlite;
mod url;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::dedicated::DedicatedPool;
pub use self::outages::passes;
pub use self::packed::PackedTexts;
pub use self::postgres::PostgresDatabase;
pub use self::sqlite::{Durability, SqliteDatabase, SqliteTransaction};
use crate::log::StoreError;

/// Begins a PostgreSQL transaction for data that can be derived from the log again, or is sent again anyway. Its
/// commit returns before it is on disk. If the process hangs in the middle, the server ends its session after 10 s
/// and releases its locks, so that the process that takes over can go on.
pub const BEGIN_DERIVED: &str =
    "begin; set local synchronous_commit = off; set local idle_in_transaction_session_timeout = '10s'";

/// How long a statement waits for a connection before it fails as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a query, which is the same on either database, with a method of sqlx that fetches.
macro_rules! fetch {
    ($database:expr, $fetch:ident, $query:expr) => {
        match $database {
            $crate::database::Database::Postgres(postgres) => {
                postgres.answer($query.$fetch(&postgres.pool)).await
            }
            $crate::database::Database::Sqlite(sqlite) => {
                $query.$fetch(&sqlite.readers).await.map_err($crate::log::StoreError::from)
            }
        }
    };
}
pub(crate) use fetch;

/// An open database. Clones share their connections.
#[derive(Debug, Clone)]
pub enum Database {
    /// A server, which any number of equal processes share.
    Postgres(PostgresDatabase),
    /// A file, which belongs to one server process.
    Sqlite(SqliteDatabase),
}

/// Why a database could not be opened or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The scheme of the URL is neither `postgres` nor `sqlite`.
    #[error("the database URL must begin with postgres:// or sqlite://")]
    UnknownScheme,
    /// The driver would ignore this option.
    #[error("a PostgreSQL URL has no option {0:?}")]
    UnknownOption(String),
    /// The URL cannot be read.
    #[error(
        "the database URL is malformed: in a name or password, each of @ : / ? # % must be percent-encoded"
    )]
    Malformed,
    /// What the URL names is not reachable, or not a database.
    #[error("cannot open the database")]
    Connect(#[source] StoreError),
    /// A migration failed, or the schema is that of a newer build.
    #[error("cannot bring the database schema up to date")]
    Migrate(#[source] StoreError),
    /// The database has no event log yet, or that of an older build.
    #[error("the database has no event log, or that of an older build: run migrate or serve first")]
    Older,
    /// The database has the event log of a newer build.
    #[error("the event log of this database is that of a newer build")]
    Newer,
}

impl Database {
    /// Opens the database of a URL: `sqlite://relative.db`, `sqlite:///absolute.db` (created where absent) or
    /// `postgres://user@host/name`.
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            PostgresDatabase::connect(url).await.map(Self::Postgres)
        } else if url.starts_with("sqlite:") {
            SqliteDatabase::open(url).await.map(Self::Sqlite)
        } else {
            Err(DatabaseError::UnknownScheme)
        }
    }

    /// Returns free pages of a SQLite file to the file system, a little at a time. On PostgreSQL this does nothing:
    /// it looks after its free space by itself. A SQLite file made by a build that did not set `auto_vacuum` keeps
    /// its free pages, and reuses them.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn give_back_room(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(sqlite) => sqlite.vacuum().await,
        }
    }

    /// Cancelled once the database is found to have lost events that this process has seen, as after a failover or a
    /// restore: the process has to begin again. On PostgreSQL alone: a file that is exchanged below a server is
    /// damaged.
    #[must_use]
    pub fn lost_events(&self) -> CancellationToken {
        match self {
            Self::Postgres(postgres) => postgres.last_seen.lost(),
            Self::Sqlite(_) => CancellationToken::new(),
        }
    }

    /// Closes all connections, once the work under way on them has ended.
    pub async fn close(&self) {
        match self {
            Self::Postgres(postgres) => postgres.pool.close().await,
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

fn connect_error(error: sqlx::Error) -> DatabaseError {
    DatabaseError::Connect(error.into())
}
