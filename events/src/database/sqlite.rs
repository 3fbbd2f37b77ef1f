//! The SQLite file: a pool of connections that read, and one connection that writes, behind a fair lock.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteArguments, SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use super::checkpointer::Checkpointer;
use super::{ACQUIRE_TIMEOUT, DatabaseError, connect_error};
use crate::log::StoreError;

/// How long SQLite waits for another process (a CLI command beside the server) to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Frees up to 256 pages, about a megabyte.
const VACUUM: &str = "pragma incremental_vacuum(256)";

/// Length of the write-ahead log, in pages of 4 KiB, from which on a commit checkpoints it into the file: short
/// enough that the log stays small, and long enough that a page which changes all the time is not copied each time.
pub(super) const WAL_PAGES: u32 = 8192;
/// Page cache of the writing connection, 32 MiB: SQLite takes a negative `cache_size` as KiB. With less, the
/// connection reads pages of indexes again that it has just written.
const WRITER_CACHE: &str = "-32768";
/// Rows that the driver's thread reads ahead of its consumer: as many as the longest page of any list has, so that
/// the thread need not be woken for more.
const ROWS_AHEAD: usize = 1024;

/// One SQLite file in WAL mode: many readers, and one writer at a time.
#[derive(Debug, Clone)]
pub struct SqliteDatabase {
    /// Connections for reading; they never wait for the writer.
    pub readers: SqlitePool,
    writer: Arc<Mutex<SqliteWriter>>,
    checkpointer: Arc<Checkpointer>,
}

/// Whether a commit survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The commit is synced to disk: for the log.
    Synced,
    /// The commit is synced only with the next `Synced` one: for data that can be derived from the log again. A power
    /// cut may lose the last of these commits, but each as a whole, rows and checkpoint together.
    Derived,
}

impl Durability {
    fn pragma(self) -> &'static str {
        match self {
            Self::Synced => "pragma synchronous = full",
            Self::Derived => "pragma synchronous = normal",
        }
    }
}

/// The one connection that writes, used under a lock. SQLite allows one writer at a time, and makes the others poll;
/// the lock is fair, and wakes the next one at once. There is only one connection, since with two, each commit of one
/// would invalidate the page cache of the other.
#[derive(Debug)]
pub(super) struct SqliteWriter {
    options: SqliteConnectOptions,
    /// `None` after a transaction on it failed: then a new one is opened. After some failures, a full disk among
    /// them, SQLite rolls back by itself, and the driver is wrong about open transactions on that connection for
    /// good.
    connection: Option<SqliteConnection>,
    /// The durability that the connection is set to. `None` if there is no connection, and while it is being set,
    /// which may be cancelled halfway.
    durability: Option<Durability>,
}

impl SqliteWriter {
    async fn connect(options: SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = Some(options.connect().await?);
        Ok(Self { options, connection, durability: None })
    }

    /// The connection, for statements that are a transaction each.
    ///
    /// # Errors
    /// If a new connection is needed and cannot be opened.
    pub(super) async fn statements(&mut self, durability: Durability) -> sqlx::Result<&mut SqliteConnection> {
        if self.durability != Some(durability) {
            self.run(durability, "", SqliteArguments::default()).await?;
        }
        Ok(self.connection())
    }

    /// Runs statements together, with one wake-up of the thread that drives the connection. Returns the rows that
    /// they select.
    async fn run(
        &mut self,
        durability: Durability,
        statements: &str,
        args: SqliteArguments<'_>,
    ) -> sqlx::Result<Vec<SqliteRow>> {
        if self.connection.is_none() {
            *self = Self::connect(self.options.clone()).await?;
        }
        let text = match self.durability.take() {
            Some(set) if set == durability => Cow::Borrowed(statements),
            Some(_) | None => Cow::Owned(format!("{}; {statements}", durability.pragma())),
        };
        let rows = sqlx::query_with(&text, args).fetch_all(self.connection()).await?;
        self.durability = Some(durability);
        Ok(rows)
    }

    fn take(&mut self) -> Option<SqliteConnection> {
        self.durability = None;
        self.connection.take()
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("invariant: what was begun has a connection")
    }
}

/// A transaction on the writing connection. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub struct SqliteTransaction<'a> {
    writer: MutexGuard<'a, SqliteWriter>,
    open: bool,
    checkpointer: &'a Checkpointer,
}

impl SqliteTransaction<'_> {
    /// The connection that its statements run on.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        self.writer.connection()
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// If the database did not confirm the commit.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.writer.connection().execute("commit").await?;
        self.ended();
        Ok(())
    }

    fn ended(&mut self) {
        self.open = false;
        self.checkpointer.committed();
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // Closing the connection rolls back, whatever state it is in.
            drop(self.writer.take());
        }
    }
}

impl SqliteDatabase {
    pub(super) async fn open(url: &str) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(connect_error)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", WAL_PAGES.to_string())
            // SQLite keeps data for undoing a single statement only until its end: that is not worth a file.
            .pragma("temp_store", "memory")
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        let writing = options.clone().pragma("cache_size", WRITER_CACHE);
        // In a new file, pages that the archive frees can be returned to the file system bit by bit. An old one stays as
        // it is: there this pragma would only write, and a full disk could not be opened.
        let creating = if is_new(options.get_filename()) {
            writing.clone().auto_vacuum(SqliteAutoVacuum::Incremental)
        } else {
            writing.clone()
        };
        let mut writer = SqliteWriter::connect(creating).await.map_err(connect_error)?;
        // The file exists from here on. Should it vanish, a new empty one would only hide that.
        let options = options.create_if_missing(false);
        writer.options = writing.create_if_missing(false);
        let readers = SqlitePoolOptions::new()
            .max_connections(8)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await
            .map_err(connect_error)?;
        let checkpointer = Checkpointer::start(&options).await.map_err(connect_error)?;
        Ok(Self { readers, writer: Arc::new(Mutex::new(writer)), checkpointer: Arc::new(checkpointer) })
    }

    /// Begins a transaction, in order of arrival.
    ///
    /// # Errors
    /// If another process holds the file for too long, or it cannot be opened.
    pub async fn begin(&self, durability: Durability) -> sqlx::Result<SqliteTransaction<'_>> {
        let mut transaction = self.transaction().await;
        transaction.writer.run(durability, "begin immediate", SqliteArguments::default()).await?;
        Ok(transaction)
    }

    /// Runs statements as one transaction, in order of arrival, with one wake-up of the thread that drives the
    /// connection. Returns the rows that they select.
    ///
    /// # Errors
    /// As [`Self::begin`], or if one of them fails: then none of them was run.
    pub async fn transact(
        &self,
        durability: Durability,
        statements: &str,
        args: SqliteArguments<'_>,
    ) -> sqlx::Result<Vec<SqliteRow>> {
        let mut transaction = self.transaction().await;
        let text = format!("begin immediate; {statements}; commit");
        let rows = transaction.writer.run(durability, &text, args).await?;
        transaction.ended();
        Ok(rows)
    }

    /// Takes the writing connection for a transaction, which counts as open from here on: if the caller is cancelled
    /// while it runs statements, the connection is closed.
    async fn transaction(&self) -> SqliteTransaction<'_> {
        SqliteTransaction { writer: self.write().await, open: true, checkpointer: &self.checkpointer }
    }

    /// Waits for the lock on the writing connection, in order of arrival. Hold it for one statement.
    pub(super) async fn write(&self) -> MutexGuard<'_, SqliteWriter> {
        self.writer.lock().await
    }

    /// Cuts free pages off the file, as long as that makes it smaller.
    pub(super) async fn vacuum(&self) -> Result<(), StoreError> {
        loop {
            let began = Instant::now();
            {
                let mut writer = self.write().await;
                let connection = writer.statements(Durability::Derived).await?;
                let before: i64 =
                    sqlx::query_scalar("pragma freelist_count").fetch_one(&mut *connection).await?;
                sqlx::query(VACUUM).execute(&mut *connection).await?;
                let after: i64 = sqlx::query_scalar("pragma freelist_count").fetch_one(connection).await?;
                if after == 0 || after >= before {
                    return Ok(());
                }
            }
            // Leaves other processes as much time for writing as this step took.
            sleep(began.elapsed()).await;
        }
    }

    /// Closes all connections; the last one checkpoints the write-ahead log into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.checkpointer.close().await;
        let connection = self.write().await.take();
        if let Some(connection) = connection {
            close(connection).await;
        }
    }
}

/// Closes a connection, and waits until it is closed.
pub(super) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection was not closed in order");
    }
}

/// Whether the file has no database yet.
fn is_new(file: &Path) -> bool {
    fs::metadata(file).map_or(true, |file| file.len() == 0)
}
