//! Processes over a store, and what is told to their log.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures_util::future::join_all;
use rivet_events::Position;
use rivet_events::database::{Database, Durability};
use rivet_events::log::{self, EventLog, LogSettings};
use rivet_projections::ReadModels;
use rivet_projections::status::Status;
use rivet_tests::history::{Story, Storyteller, tell};
use rivet_tests::postgres::Cluster;
use sqlx::Executor as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) const LONG: Duration = Duration::from_mins(1);

pub(crate) struct Store {
    url: String,
    _directory: Option<tempfile::TempDir>,
}

impl Store {
    #[expect(clippy::unused_async, reason = "the same call makes either store")]
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("rivet.db").display());
        Self { url, _directory: Some(directory) }
    }

    pub(crate) async fn postgres() -> Self {
        Self { url: Cluster::shared().await.create_database().await, _directory: None }
    }

    /// Another process over the same store.
    pub(crate) async fn process(&self) -> Process {
        self.process_with(LogSettings::default()).await
    }

    pub(super) async fn process_with(&self, settings: LogSettings) -> Process {
        let database = Database::connect(&self.url).await.unwrap();
        database.migrate().await.unwrap();
        let log = log::open(&database, settings).await.unwrap();
        let read_models = ReadModels::open(database.clone(), Arc::clone(&log)).await.unwrap();
        Process { database, log, read_models }
    }
}

pub(crate) struct Process {
    pub(crate) database: Database,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) read_models: ReadModels,
}

impl Process {
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

    /// Changes the database without the read models noticing.
    pub(crate) async fn tamper(&self, statement: &str) {
        match &self.database {
            Database::Postgres(pool) => pool.execute(statement).await.unwrap().rows_affected(),
            Database::Sqlite(sqlite) => {
                let mut writer = sqlite.write().await;
                writer
                    .statements(Durability::Synced)
                    .await
                    .unwrap()
                    .execute(statement)
                    .await
                    .unwrap()
                    .rows_affected()
            }
        };
    }

    pub(crate) async fn tell_all(&self, stories: &[Story], step: usize) {
        for some in stories.chunks(64) {
            join_all(some.iter().map(|story| tell(&*self.log, story, step))).await;
        }
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

pub(crate) fn stories(seed: u64, jobs: usize) -> Vec<Story> {
    let mut teller = Storyteller::new(seed);
    let mut stories = teller.stage();
    stories.extend((0..jobs).flat_map(|_| teller.job()));
    stories
}

pub(crate) async fn assert_proven(process: &Process) {
    let report = process.read_models.verify(|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.position, process.log.head().await.unwrap());
}
