//! The one SQLite file, and the right to write into it.

use std::borrow::Cow;
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
/// Frees a megabyte or so: 256 pages.
const VACUUM: &str = "pragma incremental_vacuum(256)";

/// Pages of the write-ahead log (of 4 KiB) from which on a commit brings them into the file: often enough that the log
/// stays small, and seldom enough that a page which changes all the time is not written each time.
pub(super) const WAL_PAGES: u32 = 8192;
/// What the writing connection holds of the file, as SQLite has it: so many KiB. Less, and it reads the pages of indexes
/// that it has just written.
const WRITER_CACHE: &str = "-32768";
/// Rows that wait to be taken from the thread that reads them: as many as a page of anything has, so that it need not
/// be woken for more.
const ROWS_AHEAD: usize = 1024;

/// One SQLite file in WAL mode: many readers, and one writer at a time.
#[derive(Debug, Clone)]
pub struct SqliteDatabase {
    /// Connections for reading; they never wait for the writer.
    pub readers: SqlitePool,
    writer: Arc<Mutex<SqliteWriter>>,
    checkpointer: Arc<Checkpointer>,
}

/// What a commit is worth when the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is synced to disk: for the log.
    Synced,
    /// It is synced with the next one that is, for what can be derived from the log again. A power cut may take the
    /// last of them, rows and checkpoint together.
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

/// The writing connection, under a lock. SQLite lets one write at a time and makes the others poll; this queue is fair
/// and wakes at once. It is one connection for all, since each of two would lose what it holds of the file's pages to
/// every commit of the other.
#[derive(Debug)]
pub struct SqliteWriter {
    options: SqliteConnectOptions,
    /// None after a transaction on it failed: then it is made anew. SQLite rolls some failures back by itself, a full
    /// disk among them, and then the driver's idea of open transactions is wrong for good.
    connection: Option<SqliteConnection>,
    /// How it commits; none where there is no connection, and while it is being told something else, which may be broken
    /// off.
    durability: Option<Durability>,
}

impl SqliteWriter {
    async fn connect(options: SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = Some(options.connect().await?);
        Ok(Self { options, connection, durability: None })
    }

    /// For statements that are a transaction each.
    ///
    /// # Errors
    /// If a connection that was given up cannot be made anew.
    pub async fn statements(&mut self, durability: Durability) -> sqlx::Result<&mut SqliteConnection> {
        if self.durability != Some(durability) {
            self.run(durability, "", SqliteArguments::default()).await?;
        }
        Ok(self.connection())
    }

    /// Runs statements, at one wake-up of the thread under the connection. What they select.
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
            Some(told) if told == durability => Cow::Borrowed(statements),
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
    /// What its statements run on.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        self.writer.connection()
    }

    /// Ends it, with all that it wrote.
    ///
    /// # Errors
    /// If the database did not say that it is committed.
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
            // The end of the connection rolls back, whatever state it is in.
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
            // What SQLite keeps to undo a statement alone is gone after it: not worth a file.
            .pragma("temp_store", "memory")
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        // Of a new file: what the archive takes out can be given back to the file system, bit by bit. Saying so takes the
        // write lock, for which no reader may have to wait.
        let writing =
            options.clone().auto_vacuum(SqliteAutoVacuum::Incremental).pragma("cache_size", WRITER_CACHE);
        let mut writer = SqliteWriter::connect(writing).await.map_err(connect_error)?;
        // From here on it is there; an empty one in its place would only hide that it is not any more.
        let options = options.create_if_missing(false);
        writer.options = writer.options.create_if_missing(false);
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

    /// Runs statements as one transaction, in order of arrival, at one wake-up of the thread under the connection.
    /// What they select.
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

    /// Open from here on: whoever stops waiting for what is to be run on it gives the connection up.
    async fn transaction(&self) -> SqliteTransaction<'_> {
        SqliteTransaction { writer: self.write().await, open: true, checkpointer: &self.checkpointer }
    }

    /// The right to write, in order of arrival. Hold it for one statement.
    pub async fn write(&self) -> MutexGuard<'_, SqliteWriter> {
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
            // As much time as it took is left to those who write in other processes.
            sleep(began.elapsed()).await;
        }
    }

    /// Closes all connections; the last one folds the write-ahead log into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.checkpointer.close().await;
        let connection = self.write().await.take();
        if let Some(connection) = connection {
            close(connection).await;
        }
    }
}

/// Closes a connection, and waits for that.
pub(super) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection was not closed in order");
    }
}
