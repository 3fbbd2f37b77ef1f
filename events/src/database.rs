//! The database under the log and the read models: PostgreSQL, or one SQLite file.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, PgPool, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

use crate::log::StoreError;

/// How long a statement waits for a connection before it fails as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another process (a CLI command beside the server) to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

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
}

impl Database {
    /// Opens the database of a URL: `sqlite://relative.db`, `sqlite:///absolute.db` (created where absent) or
    /// `postgres://user@host/name`.
    pub async fn connect(url: &str) -> Result<Self, DatabaseError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(connect_error)?
                .application_name("rivet-orchestrator")
                .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
            let pool = PgPoolOptions::new()
                .max_connections(16)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .connect_with(options)
                .await
                .map_err(connect_error)?;
            Ok(Self::Postgres(pool))
        } else if url.starts_with("sqlite:") {
            SqliteDatabase::open(url).await.map(Self::Sqlite)
        } else {
            Err(DatabaseError::UnknownScheme)
        }
    }

    /// Brings the log's schema up to date, under a lock where several processes may start at once. The read
    /// models have no migrations: they are rebuilt.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Postgres(pool) => sqlx::migrate!("migrations/postgres").run(pool).await,
            Self::Sqlite(sqlite) => {
                sqlx::migrate!("migrations/sqlite").run_direct(sqlite.write().await.durable()).await
            }
        }
        .map_err(|error| DatabaseError::Migrate(error.into()))
    }

    /// Closes all connections, after what is under way.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite(sqlite) => sqlite.readers.close().await,
        }
    }
}

fn connect_error(error: sqlx::Error) -> DatabaseError {
    DatabaseError::Connect(error.into())
}

/// One SQLite file in WAL mode: many readers, and one writer at a time.
#[derive(Debug, Clone)]
pub struct SqliteDatabase {
    /// Connections for reading; they never wait for the writer.
    pub readers: SqlitePool,
    writers: Arc<Mutex<SqliteWriters>>,
}

/// The two writing connections, under one lock. SQLite lets one write at a time and makes the others poll; this
/// queue is fair and wakes at once.
#[derive(Debug)]
pub struct SqliteWriters {
    durable: SqliteConnection,
    derived: SqliteConnection,
}

impl SqliteWriters {
    /// Every commit is synced to disk: for the log.
    pub fn durable(&mut self) -> &mut SqliteConnection {
        &mut self.durable
    }

    /// Commits are synced with the next durable one: for what can be derived from the log again. A power cut may
    /// take the last of them, rows and checkpoint together.
    pub fn derived(&mut self) -> &mut SqliteConnection {
        &mut self.derived
    }
}

impl SqliteDatabase {
    async fn open(url: &str) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(connect_error)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        let durable = options.connect().await.map_err(connect_error)?;
        let derived =
            options.clone().synchronous(SqliteSynchronous::Normal).connect().await.map_err(connect_error)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(8)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(connect_error)?;
        Ok(Self { readers, writers: Arc::new(Mutex::new(SqliteWriters { durable, derived })) })
    }

    /// The right to write, in order of arrival. Hold it for one transaction.
    pub async fn write(&self) -> MutexGuard<'_, SqliteWriters> {
        self.writers.lock().await
    }
}
