//! Checkpoints SQLite's write-ahead log in the background: copies its pages into the database file, beside the
//! commits. A commit that finds the log too long has to checkpoint it before it returns; thanks to this task, that
//! commit finds little left to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row as _, SqliteConnection};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::sqlite::{WAL_PAGES, close};

/// Pages written between two checkpoints: an eighth of what the log may hold. A commit that has to checkpoint finds
/// no more than that to do.
const PAGES: u64 = WAL_PAGES as u64 / 8;
/// Most commits between two checkpoints. Under a high load of small commits, the log reaches its limit after some
/// hundreds of them.
const MAX_COMMITS: u64 = 64;
/// Commits before the first checkpoint, while it is not known how many pages they write.
const FIRST_COMMITS: u64 = 8;
/// A passive checkpoint waits for nobody: pages that a reader still needs, or that are being written, stay for the
/// next one. Returns whether it was blocked, and how many pages the log holds.
const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// A handle to the background task.
#[derive(Debug)]
pub(super) struct Checkpointer {
    pace: Arc<Pace>,
    tasks: TaskTracker,
    /// Ends the task; also when this is dropped.
    closing: DropGuard,
}

impl Checkpointer {
    /// Starts the task, on a connection of its own.
    pub(super) async fn start(options: &SqliteConnectOptions) -> sqlx::Result<Self> {
        let connection = options.connect().await?;
        let (pace, tasks, closing) = (Arc::new(Pace::new()), TaskTracker::new(), CancellationToken::new());
        tasks.spawn(run(connection, Arc::clone(&pace), closing.clone()));
        tasks.close();
        Ok(Self { pace, tasks, closing: closing.drop_guard() })
    }

    /// Counts a commit, and wakes the task if a checkpoint is due.
    pub(super) fn committed(&self) {
        self.pace.committed();
    }

    /// Ends the task, and closes its connection.
    pub(super) async fn close(&self) {
        self.closing.token().cancel();
        self.tasks.wait().await;
    }
}

/// Decides after how many commits the next checkpoint is due.
#[derive(Debug)]
struct Pace {
    /// Commits since the last checkpoint.
    commits: AtomicU64,
    /// As many of them as make a checkpoint due.
    enough: AtomicU64,
    due: Notify,
}

impl Pace {
    fn new() -> Self {
        Self { commits: AtomicU64::new(0), enough: AtomicU64::new(FIRST_COMMITS), due: Notify::new() }
    }

    fn committed(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) + 1 >= self.enough.load(Ordering::Relaxed) {
            self.due.notify_one();
        }
    }

    /// Restarts the count, and adapts the number of commits to the `pages` that those since the last checkpoint
    /// wrote: commits of a rebuild write a hundred times as much as those of a server.
    fn wrote(&self, pages: u64) {
        let commits = self.commits.swap(0, Ordering::Relaxed);
        // A spurious wake-up.
        if commits == 0 {
            return;
        }
        let enough = PAGES.saturating_mul(commits) / pages.max(1);
        self.enough.store(enough.clamp(1, MAX_COMMITS), Ordering::Relaxed);
    }
}

async fn run(mut connection: SqliteConnection, pace: Arc<Pace>, closing: CancellationToken) {
    let mut before = 0;
    while closing.run_until_cancelled(pace.due.notified()).await.is_some() {
        let checkpointed = sqlx::query(CHECKPOINT).fetch_one(&mut connection).await;
        match checkpointed.and_then(|row| row.try_get::<i64, _>("log")) {
            Ok(pages) => {
                // Fewer pages than before: all were in the file, and SQLite began to write the log from its start
                // again.
                pace.wrote(if pages < before { pages } else { pages - before }.unsigned_abs());
                before = pages;
            }
            Err(error) => tracing::warn!(%error, "the write-ahead log is brought into the file later"),
        }
    }
    close(connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enough(commits: u64, pages: u64) -> u64 {
        let pace = Pace::new();
        (0..commits).for_each(|_| pace.committed());
        pace.wrote(pages);
        pace.enough.load(Ordering::Relaxed)
    }

    #[test]
    fn it_is_time_after_as_many_commits_as_write_an_eighth_of_a_log() {
        assert_eq!(enough(8, PAGES), 8);
        assert_eq!(enough(8, 2 * PAGES), 4);
        assert_eq!(enough(8, 100 * PAGES), 1);
        assert_eq!(enough(8, 8), MAX_COMMITS);
        assert_eq!(enough(8, 0), MAX_COMMITS);
    }
}
