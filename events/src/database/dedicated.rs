//! A small connection pool for PostgreSQL, beside the general one, for code that runs the same few statements all the
//! time: the writers and readers of the log and of the read models.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Executor, PgConnection};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{ACQUIRE_TIMEOUT, PostgresDatabase};
use crate::log::StoreError;

/// Connections that have been idle for longer are not used any more: what is between this process and the server, a load
/// balancer for example, may have dropped them without a word.
const MAX_IDLE: Duration = Duration::from_mins(1);

/// Makes the server compress large values with LZ4, if it was built with it: that takes a fraction of the time.
const COMPRESS: &str = "select set_config(name, 'lz4', false) from pg_settings
    where name = 'default_toast_compression' and 'lz4' = any(enumvals)";

/// A pool of connections with the same session settings; each serves one caller at a time.
///
/// It is last in, first out: the connection returned last is taken next. So a single caller always gets the same one,
/// which has its statements prepared, and whose server process has the data that it reads in memory. The pool of sqlx
/// would take the connection that has been idle for longest, and ping each one that is returned. Here, a connection
/// whose work failed or was cancelled is closed instead.
pub struct DedicatedPool {
    database: PostgresDatabase,
    /// Statements that are run on each new connection.
    session: &'static str,
    /// How long the work of a caller may take.
    work_timeout: Duration,
    /// Limits the number of connections.
    permits: Semaphore,
    /// Connections that are not in use, each with the time since when.
    idle: Mutex<Vec<(Instant, PgConnection)>>,
}

impl fmt::Debug for DedicatedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedicatedPool").field("idle", &self.idle().len()).finish_non_exhaustive()
    }
}

impl DedicatedPool {
    /// A pool of at most `most` connections to `database`; `session` is run on each new one. Work that
    /// takes longer than `work_timeout` is cancelled: a server that is gone without a word never answers.
    #[must_use]
    pub fn new(
        database: &PostgresDatabase,
        most: usize,
        work_timeout: Duration,
        session: &'static str,
    ) -> Self {
        Self {
            database: database.clone(),
            session,
            work_timeout,
            permits: Semaphore::new(most),
            idle: Mutex::default(),
        }
    }

    /// Runs `work` on a connection, which is closed if the work fails or is cancelled. If it fails because the connection
    /// is broken, or takes too long, no connection that is idle then, in any pool of the database, is used again.
    ///
    /// # Errors
    /// The error of `work`, or that there is no connection, or no answer in time, or that the database has lost
    /// events that this process has seen.
    pub async fn run<T, E: Into<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let _permit = timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await?;
        let done = timeout(self.work_timeout, self.run_with_permit(work)).await;
        done.map_err(StoreError::from).flatten().inspect_err(|error| self.database.outages.note(error))
    }

    async fn run_with_permit<T, E: Into<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let done = work(&mut connection).await.map_err(Into::into)?;
        self.idle().push((Instant::now(), connection));
        Ok(done)
    }

    /// The connection that was returned last, if it can still be used.
    fn take_idle(&self) -> Option<PgConnection> {
        let mut idle = self.idle();
        let (idle_since, connection) = idle.pop()?;
        if idle_since.elapsed() < MAX_IDLE && self.database.outages.spared(idle_since) {
            return Some(connection);
        }
        // The others have been idle for longer.
        idle.clear();
        None
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.database.pool.connect_options().connect().await?;
        connection.execute(self.session).await?;
        connection.execute(COMPRESS).await?;
        self.database.last_seen.check(&mut connection).await?;
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, PgConnection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
