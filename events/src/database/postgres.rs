//! The PostgreSQL server: the pool of connections for queries, and what this process has seen in its log.

use std::future::ready;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::time::timeout;

use super::last_seen::LastSeen;
use super::outages::{Outages, is_broken};
use super::{ACQUIRE_TIMEOUT, DatabaseError, connect_error, url};
use crate::log::StoreError;

/// How long a connection may take to answer a ping when it is returned to the pool; if it takes longer, it is closed.
/// A caller that gave up waiting for an answer returns its connection too. If the server is gone without a word, such
/// a connection would otherwise occupy its place in the pool for a quarter of an hour.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a short statement may take: over a network, an answer may never come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A PostgreSQL database, which any number of equal processes share.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    /// Connections for whatever has no [`DedicatedPool`](super::DedicatedPool) of its own.
    pub pool: PgPool,
    pub(crate) last_seen: Arc<LastSeen>,
    pub(super) outages: Arc<Outages>,
}

impl PostgresDatabase {
    pub(super) async fn connect(url: &str) -> Result<Self, DatabaseError> {
        url::check(url)?;
        let options = PgConnectOptions::from_str(url)
            .map_err(connect_error)?
            .application_name("rivet-orchestrator")
            .options([
                // Suppresses notices such as "already exists, skipping".
                ("client_min_messages", "warning"),
                // Whatever the server's default: each statement after a lock needs a fresh snapshot.
                ("default_transaction_isolation", r"read\ committed"),
            ])
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        let last_seen = Arc::<LastSeen>::default();
        let outages = Arc::<Outages>::default();
        let (checks, breaks) = (Arc::clone(&last_seen), Arc::clone(&outages));
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let last_seen = Arc::clone(&checks);
                Box::pin(async move {
                    match last_seen.check(connection).await {
                        // It has broken already, which its first use will tell.
                        Err(error) if is_broken(&error) => Ok(()),
                        checked => checked.map_err(|error| io::Error::other(error).into()),
                    }
                })
            })
            .before_acquire(move |_, used| {
                let idle_since = Instant::now().checked_sub(used.idle_for);
                let is_spared = idle_since.is_some_and(|idle_since| breaks.spared(idle_since));
                Box::pin(ready(Ok(is_spared)))
            })
            .after_release(|connection, _| {
                Box::pin(async move {
                    let whole = timeout(RELEASE_TIMEOUT, connection.ping()).await;
                    whole.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
                })
            })
            .connect_with(options.clone())
            .await;
        match pool {
            Ok(pool) => Ok(Self { pool, last_seen, outages }),
            Err(sqlx::Error::PoolTimedOut) => Err(connect_error(obstacle(&options).await)),
            Err(error) => Err(connect_error(error)),
        }
    }

    /// Waits for the answer to a short statement, and gives up after 10 s.
    pub(crate) async fn answer<T>(
        &self,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, StoreError> {
        Ok(timeout(ANSWER_TIMEOUT, statement).await??)
    }
}

/// Finds out why no connection can be opened, by opening one: the pool only reports that it took too long.
async fn obstacle(options: &PgConnectOptions) -> sqlx::Error {
    match timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}
