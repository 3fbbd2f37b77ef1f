//! The application: wires the parts together, runs them, and shuts them down in order.
//!
//! On shutdown, background work that can go on elsewhere (reconcilers, deliveries, archiving) stops first. What
//! requests in flight still need (the projector, the dispatcher, the log) goes on until the last of them is answered.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rivet_events::contacts::Contacts;
use rivet_events::database::{Database, DatabaseError};
use rivet_events::deliveries::Deliveries;
use rivet_events::log::{self, EventLog, LogSettings, ReadError, StoreError};
use rivet_events::runner::{RunnerEvent, RunnerLost, RunnerRemoved};
use rivet_events::segments::{Archive, Objects};
use rivet_events::{Envelope, Event, Position, StreamType};
use rivet_projections::ReadModels;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::archive::BackgroundArchiver;
use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::Config;
use crate::definition::Evaluator;
use crate::dispatch::Dispatcher;
use crate::feed::Feed;
use crate::http::{self, AppState, Parts, RunnerContacts};
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::processes::Processes;
use crate::server::{self, Connections, Timeouts};
use crate::webhooks::{self, Webhooks};

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
        let log = log::open_observed(&database, settings, metrics.log.clone()).await?;
        let objects = config.database.archive_url().map(|url| Objects::open(&url)).transpose();
        let archive = Archive::new(&database, objects.map_err(AppError::Archive)?);
        let log = log::with_archive(log, archive);
        let head = log.head().await?;
        let read_models =
            ReadModels::open(database.clone(), log.clone()).await.map_err(AppError::ReadModels)?;
        let tasks = TaskTracker::new();
        let commands = Commands::new(&database, log.clone(), clock.clone(), head, &metrics, &tasks);
        let liveness = Arc::new(Liveness::default());
        let parts = Parts {
            contacts: RunnerContacts {
                runners: commands.runners.clone(),
                liveness: liveness.clone(),
                clock: clock.clone(),
                heartbeat_resolution: config.leases.heartbeat_resolution,
            },
            commands,
            metrics,
            read_models,
            evaluator: Arc::new(Evaluator::new(program, EVALUATIONS)),
            liveness,
            dispatcher: Arc::new(Dispatcher::default()),
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
        spawn_workers(&state, &database, &shutdown, &drained);
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

/// Starts the background tasks. The reconcilers, the archiver and the webhook deliveries stop at `shutdown`; the
/// tasks that requests depend on stop at `drained`, when the last request has been answered.
fn spawn_workers(
    state: &AppState,
    database: &Database,
    shutdown: &CancellationToken,
    drained: &CancellationToken,
) {
    let workers = &state.tasks;
    let (read_models, stop) = (state.read_models.clone(), drained.clone());
    workers.spawn(async move { read_models.run(stop).await });

    let (commands, head, stop) = (state.commands.clone(), state.began_at, drained.clone());
    // Once the read model is at the head, it shows all webhooks that there are at the start.
    let changes = watch::Sender::new(head);
    let (liveness, dispatcher, webhooks) =
        (state.liveness.clone(), state.dispatcher.clone(), changes.clone());
    let tell = move |envelope: &Envelope| tell_of_event(envelope, &liveness, &dispatcher, &webhooks);
    workers.spawn(async move { commands.follow(head, tell, stop).await });

    let (dispatcher, clock) = (state.dispatcher.clone(), state.clock.clone());
    let (log, queue, stop) = (state.commands.log().clone(), state.read_models.clone(), drained.clone());
    workers.spawn(async move { dispatcher.run(log, queue, clock, stop).await });

    let contacts = Contacts::new(database);
    let (liveness, clock) = (state.liveness.clone(), state.clock.clone());
    let (others, stop) = (contacts.clone(), drained.clone());
    workers.spawn(async move { liveness.tell(others, &*clock, stop).await });

    let processes = Processes {
        commands: state.commands.clone(),
        read_models: state.read_models.clone(),
        liveness: state.liveness.clone(),
        contacts,
        deliveries: state.deliveries.clone(),
        connections: state.connections.clone(),
        clock: state.clock.clone(),
        config: state.config.clone(),
    };
    workers.spawn(processes.run(shutdown.clone()));

    let config = &state.config;
    if config.archive.after.is_some() || config.archive.keep.is_some() {
        let archiver = BackgroundArchiver {
            commands: state.commands.clone(),
            read_models: state.read_models.clone(),
            database: database.clone(),
            clock: state.clock.clone(),
            archive_after: config.archive.after,
            keep: config.archive.keep,
        };
        workers.spawn(archiver.run(shutdown.clone()));
    }

    let webhooks = Webhooks {
        commands: state.commands.clone(),
        read_models: state.read_models.clone(),
        feed: state.feed.clone(),
        deliveries: state.deliveries.clone(),
        sender: webhooks::Sender::new(config.webhooks.allow_private),
        clock: state.clock.clone(),
        config: state.config.clone(),
        changes,
    };
    workers.spawn(webhooks.run(shutdown.clone()));
}

/// Tells the parts that keep something of a runner or a webhook what an event of the log changes in it: a removed or lost
/// runner has its next contact recorded, one that waits is offered jobs by what it has registered last, and the webhooks
/// to deliver to are listed again.
fn tell_of_event(
    envelope: &Envelope,
    liveness: &Liveness,
    dispatcher: &Dispatcher,
    webhooks: &watch::Sender<Position>,
) {
    if envelope.stream.kind == StreamType::Webhook {
        webhooks.send_replace(envelope.position);
    }
    let Event::Runner(event) = &envelope.event else { return };
    match event {
        RunnerEvent::Registered(registered) => {
            dispatcher.update_capabilities(&registered.runner_id, &registered.capabilities);
        }
        RunnerEvent::Removed(RunnerRemoved { runner_id, .. })
        | RunnerEvent::Lost(RunnerLost { runner_id, .. }) => {
            liveness.unrecorded(runner_id, envelope.sequence);
        }
        RunnerEvent::HeartbeatRecorded(_) | RunnerEvent::Returned(_) => {}
    }
}
