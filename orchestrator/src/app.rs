//! The application: wires the parts together, runs them, and shuts them down in order.
//!
//! On shutdown, background work that can go on elsewhere (reconcilers, deliveries, archiving) stops first. What
//! requests in flight still need (the projector, the dispatcher, the log) goes on until the last of them is answered.

mod workers;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rivet_events::contacts::Contacts;
use rivet_events::database::{Database, DatabaseError};
use rivet_events::deliveries::Deliveries;
use rivet_events::log::{self, EventLog, LogSettings, ReadError, StoreError};
use rivet_events::segments::{Archive, Objects};
use rivet_projections::ReadModels;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::Config;
use crate::definition::Evaluator;
use crate::feed::Feed;
use crate::http::{self, AppState, Parts};
use crate::metrics::Metrics;
use crate::server::{self, Connections, Timeouts};
use workers::{spawn_background, spawn_for_requests};

/// Pipeline definitions that are evaluated at the same time; each takes a child process.
const EVALUATIONS: usize = 4;

/// Longest wait, at the end of the shutdown, for background tasks and the database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that is ready to run.
pub struct App {
    parts: Parts,
    database: Database,
    log: Arc<dyn EventLog>,
}

/// Why a server could not be built.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Its database could not be opened or brought up to date.
    #[error("the database is not usable")]
    Database(#[from] DatabaseError),
    /// Its log could not be read.
    #[error("the event log is not usable")]
    Log(#[from] ReadError),
    /// The store of its archive cannot be used.
    #[error("the archive is not usable")]
    Archive(#[source] StoreError),
    /// Its read models could not be opened.
    #[error("the read models are not usable")]
    ReadModels(#[source] StoreError),
    /// The path of its own executable, which it starts as child processes, is not known.
    #[error("the path of the running program is not known")]
    Program(#[source] io::Error),
}

impl App {
    /// Opens and migrates the database, and builds everything on top of it.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        let program = std::env::current_exe().map_err(AppError::Program)?;
        Self::build_with(config, clock, program).await
    }

    /// Like [`Self::build`], but evaluates definitions with `program`, which must know
    /// [the subcommand for that](Evaluator::SUBCOMMAND).
    pub async fn build_with(
        config: Config,
        clock: Arc<dyn Clock>,
        program: PathBuf,
    ) -> Result<Self, AppError> {
        let database = Database::connect(config.database.url.expose()).await?;
        database.migrate().await?;
        let settings = LogSettings { queue_appends: config.load.append_queue, ..LogSettings::default() };
        let metrics = Arc::new(Metrics::new(clock.now()));
        let objects = config.database.archive_url().map(|url| Objects::open(&url)).transpose();
        let archive = Archive::new(&database, objects.map_err(AppError::Archive)?);
        let log = log::open_with(&database, settings, Some(archive), metrics.log.clone()).await?;
        let head = log.head().await?;
        let read_models =
            ReadModels::open(database.clone(), log.clone()).await.map_err(AppError::ReadModels)?;
        let tasks = TaskTracker::new();
        let commands = Commands::new(&database, log.clone(), clock.clone(), head, &metrics, &tasks);
        let parts = Parts {
            commands,
            metrics,
            read_models,
            evaluator: Arc::new(Evaluator::new(program, EVALUATIONS)),
            liveness: Arc::default(),
            dispatcher: Arc::default(),
            feed: Feed::new(log.clone()),
            deliveries: Deliveries::new(&database),
            connections: Arc::new(Connections::new(config.load.max_connections)),
            clock,
            config: Arc::new(config),
            tasks,
            draining: CancellationToken::new(),
            began_at: head,
        };
        Ok(Self { parts, database, log })
    }

    /// Cancelled once the database is found to have lost events: then a new server has to be built.
    #[must_use]
    pub fn lost_events(&self) -> CancellationToken {
        self.database.lost_events()
    }

    /// Serves until `shutdown`. Then: reports itself as not ready for the drain delay, so that load balancers notice;
    /// stops accepting connections and lets requests finish; appends what is still queued; ends the background tasks
    /// and closes the database.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let Self { mut parts, database, log } = self;
        let config = parts.config.clone();
        let timeouts = Timeouts { drain: config.load.drain_timeout, ..Timeouts::default() };
        parts.draining = shutdown.clone();
        let connections = parts.connections.clone();
        let state = AppState::new(parts);
        // Cancelled only after the last request: requests that finish during the drain still read their own writes.
        let drained = CancellationToken::new();
        let workers = state.tasks.clone();
        let contacts = Contacts::new(&database);
        // Once the read model is at the head, it shows all webhooks that there are at the start.
        let changes = watch::Sender::new(state.began_at);
        spawn_for_requests(&state, contacts.clone(), changes.clone(), &drained);
        spawn_background(&state, &database, contacts, changes, &shutdown);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        workers.spawn(async move {
            shutdown.cancelled().await;
            tokio::time::sleep(config.load.drain_delay).await;
            stopping.cancel();
        });
        server::serve(listener, http::router(state), stop, timeouts, connections).await;
        log.close().await;
        drained.cancel();
        workers.close();
        // Nothing is lost if this times out: what the database has not answered yet was not acknowledged to any
        // client, or can be rebuilt from the log.
        let ended = async {
            workers.wait().await;
            database.close().await;
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, ended).await.is_err() {
            tracing::warn!("the database does not answer: the server ends without it");
        }
    }
}
