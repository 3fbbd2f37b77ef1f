//! Brings the pages of SQLite's write-ahead log into its file beside the commits: so that the commit that finds the log
//! too long, which SQLite makes wait for that, finds little left to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Commits between two times. At a high load, the log comes to its limit after some hundreds of them.
const COMMITS: u64 = 64;
/// Waits for nobody: what a reader still needs, or is being written, stays for the next time.
const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// The task, and what wakes it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    commits: AtomicU64,
    due: Arc<Notify>,
    stop: CancellationToken,
    task: Mutex<JoinSet<()>>,
}

impl Checkpointer {
    /// Starts it, on a connection of its own.
    pub(super) async fn start(options: &SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = options.connect().await?;
        let (due, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(run(connection, Arc::clone(&due), stop.clone()));
        Ok(Self { commits: AtomicU64::new(0), due, stop, task: Mutex::new(task) })
    }

    /// Counts a commit.
    pub(super) fn committed(&self) {
        if (self.commits.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(COMMITS) {
            self.due.notify_one();
        }
    }

    /// Ends it, and closes its connection.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.task.lock().await.join_next().await;
    }
}

async fn run(mut connection: SqliteConnection, due: Arc<Notify>, stop: CancellationToken) {
    while stop.run_until_cancelled(due.notified()).await.is_some() {
        if let Err(error) = sqlx::query(CHECKPOINT).execute(&mut connection).await {
            tracing::warn!(%error, "the write-ahead log is brought into the file later");
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection was not closed in order");
    }
}
