//! Processes over a store, and what is told to their log.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use rivet_events::Position;
use rivet_events::database::Database;
use rivet_events::log::{self, EventLog, LogSettings};
use rivet_projections::ReadModels;
use rivet_projections::status::Status;
use rivet_tests::history::{Story, tell_all};
use rivet_tests::store::{Store, StoreKind};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) const LONG: Duration = Duration::from_mins(1);

pub(crate) struct Process {
    pub(crate) database: Database,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) read_models: ReadModels,
}

impl Process {
    /// A process over a store of its own.
    pub(crate) async fn of(kind: StoreKind) -> (Store, Self) {
        let store = Store::create(kind).await;
        let process = Self::over(&store).await;
        (store, process)
    }

    /// Another process over a store.
    pub(crate) async fn over(store: &Store) -> Self {
        Self::with(store, LogSettings::default()).await
    }

    pub(super) async fn with(store: &Store, settings: LogSettings) -> Self {
        let database = store.open().await;
        let log = log::open(&database, settings).await.unwrap();
        let read_models = ReadModels::open(database.clone(), Arc::clone(&log)).await.unwrap();
        Self { database, log, read_models }
    }

    /// Ends in order what does not run any more.
    pub(crate) async fn close(self) {
        self.log.close().await;
        self.database.close().await;
    }

    pub(crate) fn start(&self) -> Running {
        let shutdown = CancellationToken::new();
        let (read_models, token) = (self.read_models.clone(), shutdown.clone());
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(async move { read_models.run(token).await });
        Running { shutdown, task }
    }

    pub(crate) async fn caught_up(&self) -> Position {
        let head = self.log.head().await.unwrap();
        assert!(self.read_models.wait_for(head, LONG).await, "stuck at {}", self.read_models.position());
        head
    }

    pub(crate) async fn status(&self) -> Vec<Status> {
        self.read_models.status(DateTime::UNIX_EPOCH).await.unwrap()
    }

    pub(crate) async fn tell_all(&self, stories: &[Story], step: usize) {
        tell_all(&*self.log, stories, step).await;
    }
}

pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// Ends it wherever it is, as a crash would.
    pub(super) fn kill(self) {
        self.task.abort();
    }
}

pub(crate) async fn assert_proven(process: &Process) {
    let report = process.read_models.verify(|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.position, process.log.head().await.unwrap());
}
