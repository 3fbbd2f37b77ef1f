//! Connections to PostgreSQL beside the pool that all share, for who runs the same few statements all the time.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::ACQUIRE_TIMEOUT;
use crate::log::StoreError;

/// Large values are compressed in a fraction of the time, where the server has been built with that.
const COMPRESS: &str = "select set_config(name, 'lz4', false) from pg_settings
    where name = 'default_toast_compression' and 'lz4' = any(enumvals)";

/// Connections of one kind of session, each for one at a time. The last one given back is the next one taken: who is
/// alone has one, which has prepared what it runs, and whose process has in memory what it reads. A pool would hand out
/// the one that has been idle for longest, and would ask each one that is given back whether it is whole. Here one whose
/// work failed or was broken off is closed instead.
pub struct SpareConnections {
    options: PgConnectOptions,
    /// What makes a session ready.
    session: &'static str,
    patience: Duration,
    /// As many as there may be at a time.
    places: Semaphore,
    /// Those that are known to be good.
    idle: Mutex<Vec<PgConnection>>,
}

impl fmt::Debug for SpareConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpareConnections").field("idle", &self.idle().len()).finish_non_exhaustive()
    }
}

impl SpareConnections {
    /// At most `most` at a time to the database of a pool; `session` is run on each new one. Work that takes longer than
    /// `patience` is broken off: a server that is gone without a word never answers.
    #[must_use]
    pub fn new(pool: &PgPool, most: usize, patience: Duration, session: &'static str) -> Self {
        let options = (*pool.connect_options()).clone();
        Self { options, session, patience, places: Semaphore::new(most), idle: Mutex::default() }
    }

    /// Runs `work` on a connection, which is given up where that fails, or is broken off. Where it fails, or takes too
    /// long, the idle ones are too: whatever broke one has most likely broken the others.
    ///
    /// # Errors
    /// What `work` says, or that there is no connection, or no answer.
    pub async fn run<T, E: Into<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let _place = timeout(ACQUIRE_TIMEOUT, self.places.acquire()).await?;
        let done = timeout(self.patience, self.run_at_a_place(work)).await;
        done.map_err(StoreError::from).flatten().inspect_err(|_| self.idle().clear())
    }

    async fn run_at_a_place<T, E: Into<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let done = work(&mut connection).await.map_err(Into::into)?;
        self.idle().push(connection);
        Ok(done)
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = self.options.connect().await?;
        connection.execute(self.session).await?;
        connection.execute(COMPRESS).await?;
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
