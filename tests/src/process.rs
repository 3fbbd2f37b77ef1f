//! Processes over a store, without HTTP: what they append to its log, and what their read models make of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use rivet_events::Position;
use rivet_events::database::Database;
use rivet_events::log::{self, EventLog, LogSettings};
use rivet_projections::ReadModels;
use rivet_projections::status::Status;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::history::{self, Stream, streams};
use crate::store::{Store, StoreKind};

/// Longest wait of a test that passes, by far.
pub const LONG: Duration = Duration::from_mins(1);

/// A process over a store: what a server has, without HTTP and without commands.
#[expect(missing_debug_implementations, reason = "it is not printed")]
pub struct Process {
    /// The database, as this process has opened it.
    pub database: Database,
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The read models, which follow the log while they run.
    pub read_models: ReadModels,
}

impl Process {
    /// A process over a store of its own.
    pub async fn of(kind: StoreKind) -> (Store, Self) {
        let store = Store::create(kind).await;
        let process = Self::over(&store).await;
        (store, process)
    }

    /// As [`Self::of`], with a hundred jobs in its read models.
    pub async fn with_jobs(kind: StoreKind) -> (Store, Self) {
        let (store, process) = Self::of(kind).await;
        let running = process.start();
        process.append_all(&streams(11, 100), 1).await;
        process.caught_up().await;
        running.stop().await;
        (store, process)
    }

    /// Another process over a store.
    pub async fn over(store: &Store) -> Self {
        Self::with(store, LogSettings::default()).await
    }

    /// As [`Self::over`], with other settings of the log.
    pub async fn with(store: &Store, settings: LogSettings) -> Self {
        let database = store.open().await;
        let log = log::open(&database, settings).await.expect("it has the tables");
        let read_models =
            ReadModels::open(database.clone(), Arc::clone(&log)).await.expect("they can be opened");
        Self { database, log, read_models }
    }

    /// Ends in order what does not run any more.
    pub async fn close(self) {
        self.log.close().await;
        self.database.close().await;
    }

    /// Lets its read models follow the log.
    pub fn start(&self) -> Running {
        let shutdown = CancellationToken::new();
        let (read_models, token) = (self.read_models.clone(), shutdown.clone());
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(async move { read_models.run(token).await });
        Running { shutdown, task }
    }

    /// Waits until its read models have reached the end of the log; that position.
    pub async fn caught_up(&self) -> Position {
        let head = self.log.head().await.expect("the log can be read");
        assert!(self.read_models.wait_for(head, LONG).await, "stuck at {}", self.read_models.position());
        head
    }

    /// The state of each of its read models.
    pub async fn status(&self) -> Vec<Status> {
        self.read_models.status(DateTime::UNIX_EPOCH).await.expect("checkpoints can be read")
    }

    /// See [`history::append_all`].
    pub async fn append_all(&self, streams: &[Stream], step: usize) {
        history::append_all(&*self.log, streams, step).await;
    }
}

/// Read models that follow the log.
#[derive(Debug)]
pub struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it in order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("it does not panic");
    }

    /// Ends it wherever it is, as a crash would.
    pub fn kill(self) {
        self.task.abort();
    }
}

/// Checks that the log and the read models of a process are what they must be, to the end of the log.
pub async fn assert_proven(process: &Process) {
    let report = process.read_models.verify(|_| {}).await.expect("all can be read");
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.position, process.log.head().await.expect("the log can be read"));
}
