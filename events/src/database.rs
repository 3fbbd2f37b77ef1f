//! The database under the log and the read models: PostgreSQL, or one SQLite file.

mod checkpointer;
mod packed;
mod schema;
mod spare;
mod sqlite;

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::time::timeout;

pub use self::packed::PackedTexts;
pub use self::spare::SpareConnections;
pub use self::sqlite::{Durability, SqliteDatabase, SqliteTransaction, SqliteWriter};
use crate::log::StoreError;

/// Begins a transaction of `PostgreSQL` for what can be derived from the log, or told again. Its commit returns before it
/// is on disk. A process that stands still in the middle of it loses its locks, for the one that takes over to go on.
pub const BEGIN_DERIVED: &str =
    "begin; set local synchronous_commit = off; set local idle_in_transaction_session_timeout = '10s'";

/// How long a statement waits for a connection before it fails as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take to say that it is whole when it is given back. Who has given up waiting for an answer on
/// it gives it back too; where the other end is gone without a word, it would hold its place for a quarter of an hour.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// An open database. Clones share their connections.
#[derive(Debug, Clone)]
pub enum Database {
    /// One of any number of equal processes over a server.
    Postgres(PgPool),
    /// The one process over a file.
    Sqlite(SqliteDatabase),
}

/// Why a database could not be opened or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is of no kind that we know.
    #[error("the database URL must begin with postgres:// or sqlite://")]
    UnknownScheme,
    /// Not reachable, or not a database.
    #[error("cannot open the database")]
    Connect(#[source] StoreError),
    /// A migration failed, or the schema is that of a newer build.
    #[error("cannot bring the database schema up to date")]
    Migrate(#[source] StoreError),
    /// There is no log yet, or one of an older build.
    #[error("the database has no event log, or that of an older build: run migrate or serve first")]
    Older,
    /// There is the log of a newer build.
    #[error("the event log of this database is that of a newer build")]
    Newer,
}

impl Database {
    /// Opens the database of a URL: `sqlite://relative.db`, `sqlite:///absolute.db` (created where absent) or
    /// `postgres://user@host/name`.
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(connect_error)?
                .application_name("rivet-orchestrator")
                // What is "already there, skipping" is no news.
                .options([("client_min_messages", "warning")])
                .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
            let pool = PgPoolOptions::new()
                .max_connections(10)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .after_release(|connection, _| {
                    Box::pin(async move {
                        let whole = timeout(RELEASE_TIMEOUT, connection.ping()).await;
                        whole.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
                    })
                })
                .connect_with(options.clone())
                .await;
            match pool {
                Ok(pool) => Ok(Self::Postgres(pool)),
                Err(sqlx::Error::PoolTimedOut) => Err(connect_error(obstacle(&options).await)),
                Err(error) => Err(connect_error(error)),
            }
        } else if url.starts_with("sqlite:") {
            SqliteDatabase::open(url).await.map(Self::Sqlite)
        } else {
            Err(DatabaseError::UnknownScheme)
        }
    }

    /// Gives room that became free back to the file system, a little at a time. `PostgreSQL` sees to that by itself; a
    /// `SQLite` file that was made by a build before this one keeps it, for what comes later.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn give_back_room(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(sqlite) => sqlite.vacuum().await,
        }
    }

    /// Closes all connections, after what is under way.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

/// What is in the way of a connection, of which the pool knows no more than that it took too long.
async fn obstacle(options: &PgConnectOptions) -> sqlx::Error {
    match timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

fn connect_error(error: sqlx::Error) -> DatabaseError {
    DatabaseError::Connect(error.into())
}
