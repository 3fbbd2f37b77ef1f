//! A session with PostgreSQL that lasts as long as its process: it shows that the process is there, and brings what the
//! others ask for.

use std::future;

use rivet_events::log::StoreError;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

/// Where processes that do not lead ask the one that does to store what it has folded.
const CHANNEL: &str = "rivet_read_models";

/// The session of a process. While it lasts it holds the lock of the process's name, which PostgreSQL lets go of as soon
/// as the process, or the connection, has ended.
pub(super) struct Session<'a> {
    pool: &'a PgPool,
    name: &'a str,
    /// None where it has to begin anew.
    listener: Option<PgListener>,
}

/// A condition: that no process of the name in `column` has a session.
pub(super) fn is_gone(column: &str) -> String {
    format!("pg_try_advisory_xact_lock(hashtextextended({column}, 0))")
}

/// Asks the leading process: a hint, which a crash of the server may take and which need not wait for the disk.
pub(super) async fn ask_to_store(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query("select set_config('synchronous_commit', 'off', true), pg_notify($1, '')")
        .bind(CHANNEL)
        .execute(pool)
        .await?;
    Ok(())
}

impl<'a> Session<'a> {
    pub(super) fn new(pool: &'a PgPool, name: &'a str) -> Self {
        Self { pool, name, listener: None }
    }

    /// Begins, if it has not, or has ended.
    pub(super) async fn ensure(&mut self) -> Result<(), StoreError> {
        if self.listener.is_none() {
            let mut listener = PgListener::connect_with(self.pool).await?;
            // Shared: a connection that is about to end may have it still.
            sqlx::query("select pg_advisory_lock_shared(hashtextextended($1, 0))")
                .bind(self.name)
                .execute(&mut listener)
                .await?;
            listener.listen(CHANNEL).await?;
            self.listener = Some(listener);
        }
        Ok(())
    }

    /// Ends, to begin anew.
    pub(super) fn end(&mut self) {
        self.listener = None;
    }

    /// Waits until somebody asks; false if the session has ended instead. For ever, where it has not begun.
    pub(super) async fn asked(&mut self) -> bool {
        let Some(listener) = &mut self.listener else { return future::pending().await };
        let asked = matches!(listener.try_recv().await, Ok(Some(_)));
        if !asked {
            self.listener = None;
        }
        asked
    }
}
