//! A session with PostgreSQL that each process keeps open. Its advisory lock shows that the process is alive, and it
//! receives the requests of other processes.

use std::future;

use rivet_events::log::StoreError;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

/// The channel by which the other processes ask the leading one to store what it has folded.
const CHANNEL: &str = "rivet_read_models";

/// The session of a process. It holds an advisory lock on the name of the process, which PostgreSQL releases as soon
/// as the process, or the connection, has ended.
pub(super) struct Session<'a> {
    pool: &'a PgPool,
    name: &'a str,
    /// `None` if the session has not begun, or has ended.
    listener: Option<PgListener>,
}

/// A condition: no process with the name in `column` has a session.
pub(super) fn gone_condition(column: &str) -> String {
    format!("pg_try_advisory_xact_lock(hashtextextended({column}, 0))")
}

/// Asks the leading process to store. This is a hint, which a crash of the server may lose, so it need not wait for
/// the disk.
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

    /// Begins the session unless it is open.
    pub(super) async fn ensure(&mut self) -> Result<(), StoreError> {
        if self.listener.is_none() {
            let mut listener = PgListener::connect_with(self.pool).await?;
            // The lock is shared, since an old connection of this process that is about to end may still hold it.
            sqlx::query("select pg_advisory_lock_shared(hashtextextended($1, 0))")
                .bind(self.name)
                .execute(&mut listener)
                .await?;
            listener.listen(CHANNEL).await?;
            self.listener = Some(listener);
        }
        Ok(())
    }

    /// Ends the session; [`Self::ensure`] begins a new one.
    pub(super) fn end(&mut self) {
        self.listener = None;
    }

    /// Waits until a process asks; false if the session has ended instead. Waits for ever if it has not begun.
    pub(super) async fn asked(&mut self) -> bool {
        let Some(listener) = &mut self.listener else { return future::pending().await };
        let asked = matches!(listener.try_recv().await, Ok(Some(_)));
        if !asked {
            self.listener = None;
        }
        asked
    }
}
