//! Brings the pages of SQLite's write-ahead log into its file beside the commits: so that the commit that finds the log
//! too long, which SQLite makes wait for that, finds little left to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::sqlite::close;

/// Commits between two times. At a high load, the log comes to its limit after some hundreds of them.
const COMMITS: u64 = 64;
/// Waits for nobody: what a reader still needs, or is being written, stays for the next time.
const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// The task, and what wakes it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    commits: AtomicU64,
    due: Arc<Notify>,
    tasks: TaskTracker,
    /// Ends the task; also when this is dropped.
    closing: DropGuard,
}

impl Checkpointer {
    /// Starts it, on a connection of its own.
    pub(super) async fn start(options: &SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = options.connect().await?;
        let (due, tasks, closing) = (Arc::new(Notify::new()), TaskTracker::new(), CancellationToken::new());
        tasks.spawn(run(connection, Arc::clone(&due), closing.clone()));
        tasks.close();
        Ok(Self { commits: AtomicU64::new(0), due, tasks, closing: closing.drop_guard() })
    }

    /// Counts a commit.
    pub(super) fn committed(&self) {
        if (self.commits.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(COMMITS) {
            self.due.notify_one();
        }
    }

    /// Ends it, and closes its connection.
    pub(super) async fn close(&self) {
        self.closing.token().cancel();
        self.tasks.wait().await;
    }
}

async fn run(mut connection: SqliteConnection, due: Arc<Notify>, closing: CancellationToken) {
    while closing.run_until_cancelled(due.notified()).await.is_some() {
        if let Err(error) = sqlx::query(CHECKPOINT).execute(&mut connection).await {
            tracing::warn!(%error, "the write-ahead log is brought into the file later");
        }
    }
    close(connection).await;
}
