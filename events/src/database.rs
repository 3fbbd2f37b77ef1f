//! The database under the log and the read models: PostgreSQL, or one SQLite file.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, PgPool, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::log::StoreError;

/// How long a statement waits for a connection before it fails as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another process (a CLI command beside the server) to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Frees a megabyte or so: 256 pages.
const VACUUM: &str = "pragma incremental_vacuum(256)";

/// Pages of the write-ahead log (of 4 KiB) from which on a commit brings them into the file: often enough that the log
/// stays small, and seldom enough that a page which changes all the time is not written each time.
const WAL_PAGES: &str = "8192";
/// Ways for a connection to commit, as it is told.
const DURABLE: &str = "pragma synchronous = full";
const DERIVED: &str = "pragma synchronous = normal";

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
                // What is "already there, skipping" is no news.
                .options([("client_min_messages", "warning")])
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
                let mut writer = sqlite.write().await;
                let connection = writer.durable().await.map_err(connect_error)?;
                sqlx::migrate!("migrations/sqlite").run_direct(connection).await
            }
        }
        .map_err(|error| DatabaseError::Migrate(error.into()))
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

fn connect_error(error: sqlx::Error) -> DatabaseError {
    DatabaseError::Connect(error.into())
}

/// One SQLite file in WAL mode: many readers, and one writer at a time.
#[derive(Debug, Clone)]
pub struct SqliteDatabase {
    /// Connections for reading; they never wait for the writer.
    pub readers: SqlitePool,
    writer: Arc<Mutex<SqliteWriter>>,
}

/// The writing connection, under a lock. SQLite lets one write at a time and makes the others poll; this queue is fair
/// and wakes at once. It is one connection for all, since each of two would lose what it holds of the file's pages to
/// every commit of the other.
#[derive(Debug)]
pub struct SqliteWriter {
    options: SqliteConnectOptions,
    /// None after a transaction on it failed: then it is made anew. SQLite rolls some failures back by itself, a full
    /// disk among them, and then the driver's idea of open transactions is wrong for good.
    connection: Option<SqliteConnection>,
    /// What it was told last; none while it is being told something else, which may be broken off.
    told: Option<&'static str>,
}

impl SqliteWriter {
    async fn connect(options: SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = Some(options.connect().await?);
        Ok(Self { options, connection, told: None })
    }

    /// For a transaction of the log: its commit is synced to disk.
    ///
    /// # Errors
    /// If a connection that was given up cannot be made anew.
    pub async fn durable(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        self.telling(DURABLE).await
    }

    /// For a transaction on what can be derived from the log again: its commit is synced with the next durable one. A
    /// power cut may take the last of them, rows and checkpoint together.
    ///
    /// # Errors
    /// As [`Self::durable`].
    pub async fn derived(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        self.telling(DERIVED).await
    }

    /// Gives the connection up: a transaction on it did not end well.
    pub fn abandon(&mut self) {
        self.connection = None;
    }

    /// The connection as it was last asked for, for going on with a transaction.
    ///
    /// # Panics
    /// Where none has begun.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("invariant: a transaction that goes on has a connection")
    }

    async fn telling(&mut self, pragma: &'static str) -> sqlx::Result<&mut SqliteConnection> {
        if self.connection.is_none() {
            *self = Self::connect(self.options.clone()).await?;
        }
        if self.told != Some(pragma) {
            self.told = None;
            self.connection().execute(pragma).await?;
            self.told = Some(pragma);
        }
        Ok(self.connection())
    }
}

impl SqliteDatabase {
    async fn open(url: &str) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(connect_error)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", WAL_PAGES)
            .busy_timeout(BUSY_TIMEOUT)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        // Of a new file: what the archive takes out can be given back to the file system, bit by bit. Saying so takes the
        // write lock, for which no reader may have to wait.
        let writing = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental);
        let writer = SqliteWriter::connect(writing).await.map_err(connect_error)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(8)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(connect_error)?;
        Ok(Self { readers, writer: Arc::new(Mutex::new(writer)) })
    }

    /// The right to write, in order of arrival. Hold it for one transaction.
    pub async fn write(&self) -> MutexGuard<'_, SqliteWriter> {
        self.writer.lock().await
    }

    /// Cuts free pages off the file, as long as that makes it smaller.
    async fn vacuum(&self) -> Result<(), StoreError> {
        loop {
            let began = Instant::now();
            {
                let mut writer = self.write().await;
                let connection = writer.derived().await?;
                let before: i64 =
                    sqlx::query_scalar("pragma freelist_count").fetch_one(&mut *connection).await?;
                sqlx::query(VACUUM).execute(&mut *connection).await?;
                let after: i64 = sqlx::query_scalar("pragma freelist_count").fetch_one(connection).await?;
                if after == 0 || after >= before {
                    return Ok(());
                }
            }
            // As much time as it took is left to those who write in other processes.
            sleep(began.elapsed()).await;
        }
    }

    /// Closes all connections; the last one folds the write-ahead log into the file.
    async fn close(&self) {
        self.readers.close().await;
        let connection = self.writer.lock().await.connection.take();
        if let Some(connection) = connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "a connection was not closed in order");
        }
    }
}
