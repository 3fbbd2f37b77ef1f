//! Connections to PostgreSQL beside the pool that all share, for who runs the same few statements all the time.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};

/// Large values are compressed in a fraction of the time, where the server has been built with that.
const COMPRESS: &str = "select set_config(name, 'lz4', false) from pg_settings
    where name = 'default_toast_compression' and 'lz4' = any(enumvals)";

/// Connections of one kind of session, each for one at a time. The last one given back is the next one taken: who is
/// alone has one, which has prepared what it runs, and whose process has in memory what it reads. A pool would hand out
/// the one that has been idle for longest.
pub struct SpareConnections {
    options: PgConnectOptions,
    /// What makes a session ready.
    session: &'static str,
    /// Those that are known to be good.
    idle: Mutex<Vec<PgConnection>>,
}

impl fmt::Debug for SpareConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpareConnections").field("idle", &self.idle().len()).finish_non_exhaustive()
    }
}

impl SpareConnections {
    /// To the database of a pool; `session` is run on each new one.
    #[must_use]
    pub fn new(pool: &PgPool, session: &'static str) -> Self {
        Self { options: (*pool.connect_options()).clone(), session, idle: Mutex::default() }
    }

    /// Runs `work` on a connection, which is given up where that fails, or is broken off.
    ///
    /// # Errors
    /// What `work` says, or that there is no connection.
    pub async fn run<T, E: From<sqlx::Error>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let done = work(&mut connection).await?;
        self.idle().push(connection);
        Ok(done)
    }

    /// Gives up all that are idle: whatever broke one has most likely broken the others.
    pub fn clear(&self) {
        self.idle().clear();
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
