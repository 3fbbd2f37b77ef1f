//! Executes the commands of one kind of aggregate: load, decide, append at the version decided on.
//!
//! States come from a cache, where one may be stale if other processes append to the log. To a command this does no
//! harm: the append would conflict, and a refusal or "nothing to do" is believed only after a load from the log.
//! Whoever only reads a state has to reckon with a stale one ([`Executor::load`], [`Executor::load_fresh`]).

mod loading;

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use rivet_events::database::Database;
use rivet_events::id::CommandId;
use rivet_events::log::{Append, AppendError, EventLog, StreamWrite};
use rivet_events::{Metadata, Position, StreamId, Version};

use super::cache::StateCache;
use super::loader::Loader;
use super::{CommandError, Journal};
use crate::domain::{Decider, NamedCommand};
use crate::metrics::{CommandCounts, CommandMetrics, Outcome};
use crate::run_to_completion::run_to_completion;
pub(crate) use loading::Loaded;

/// Tries of one command before it fails as contended. A try is used up by a conflict, or by a cached state that had
/// to be loaded again. Racing claims settle in one more try; a command that runs out of tries meets a stream that
/// many write at once, and its client is told to come back.
const MAX_TRIES: usize = 16;

/// Executes the commands of one kind of aggregate.
#[derive(Clone)]
pub(crate) struct Executor<S: Decider> {
    journal: Arc<Journal>,
    loader: Arc<Loader<S>>,
    cache: StateCache<Arc<S>>,
    counts: Arc<CommandCounts>,
    /// Whether a load from the log reads on from the cached state.
    reads_on: bool,
    /// Called with the state before and after each append.
    observer: Option<Arc<Observer<S>>>,
}

type Observer<S> = dyn Fn(&S, &S) + Send + Sync;

/// The outcome of a command that succeeded.
#[derive(Debug, Clone)]
pub(crate) struct Committed<S> {
    /// The state of the aggregate after it.
    pub state: Arc<S>,
    /// The version of the aggregate after it.
    pub version: Version,
    /// The position of its last event; `None` if there was nothing to record.
    pub position: Option<Position>,
}

impl<S: Decider> Executor<S> {
    pub(super) fn new(database: &Database, journal: Arc<Journal>, metrics: &CommandMetrics) -> Self {
        Self {
            loader: Arc::new(Loader::new(database, journal.log.clone())),
            journal,
            cache: StateCache::new(|state| state.weight()),
            counts: Arc::new(metrics.of(S::KIND.as_str(), S::Command::NAMES)),
            reads_on: false,
            observer: None,
        }
    }

    /// For streams that become long, and are never purged and begun anew: a load from the log reads only what follows
    /// the cached state.
    pub(super) fn reading_on(self) -> Self {
        Self { reads_on: true, ..self }
    }

    /// Adds an observer, which is called with the state before and after each append.
    pub(super) fn observed(self, observer: impl Fn(&S, &S) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Loads the aggregate, lets it decide, and appends its events. Tries again, up to 16 times in all, if the
    /// stream moved meanwhile.
    pub(crate) async fn execute(
        &self,
        id: impl Display,
        command: S::Command,
        metadata: &Metadata,
    ) -> Result<Committed<S>, CommandError<S::Error>> {
        self.execute_along(id, command, metadata, &[]).await
    }

    /// Like [`Self::execute`], with metadata that depend on the state that the command is decided on.
    pub(crate) async fn execute_by(
        &self,
        id: impl Display,
        command: S::Command,
        metadata: impl Fn(&S) -> Metadata + Send + Sync,
    ) -> Result<Committed<S>, CommandError<S::Error>> {
        self.execute_on(id, command, metadata, &[]).await
    }

    /// Like [`Self::execute`], with writes to other streams in the same append: either with events, or without, as
    /// the condition that the stream has not moved. [`CommandError::Stale`] names the other stream that has.
    pub(crate) async fn execute_along(
        &self,
        id: impl Display,
        command: S::Command,
        metadata: &Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<S>, CommandError<S::Error>> {
        self.execute_on(id, command, |_| metadata.clone(), others).await
    }

    /// Executes the command, and counts its outcome.
    async fn execute_on(
        &self,
        id: impl Display,
        command: S::Command,
        metadata: impl Fn(&S) -> Metadata + Send + Sync,
        others: &[StreamWrite],
    ) -> Result<Committed<S>, CommandError<S::Error>> {
        let name = command.name();
        let executed = self.try_execute(id, command, metadata, others).await;
        self.counts.count(name, outcome(&executed));
        executed
    }

    async fn try_execute(
        &self,
        id: impl Display,
        command: S::Command,
        metadata: impl Fn(&S) -> Metadata + Send + Sync,
        others: &[StreamWrite],
    ) -> Result<Committed<S>, CommandError<S::Error>> {
        let command_id = Some(CommandId::generate());
        let stream = StreamId::new(S::KIND, id);
        let mut loaded = self.load_stream(&stream).await?;
        for _ in 0..MAX_TRIES {
            let decided = loaded.state.decide(command.clone());
            // A cached state may be stale: before refusing, or answering that it is already so, decide again on the
            // state from the log.
            if !loaded.fresh && decided.as_ref().map_or(true, Vec::is_empty) {
                loaded = self.reload_stream(&stream).await?;
                continue;
            }
            let events = decided.map_err(CommandError::Refused)?;
            if events.is_empty() {
                return Ok(Committed { state: loaded.state, version: loaded.version, position: None });
            }
            let decided_on = loaded.version;
            let metadata = Metadata { command_id, ..metadata(&loaded.state) };
            let after = Arc::new(loaded.state.after(&events));
            match self.append(loaded, after, events, metadata, others).await {
                Ok(committed) => return Ok(committed),
                Err(AppendError::Conflict { stream: moved, .. }) if moved == stream => {
                    loaded = self.load_newer(&stream, decided_on).await?;
                }
                Err(AppendError::Conflict { stream: moved, .. }) => return Err(CommandError::Stale(moved)),
                Err(AppendError::Overloaded) => return Err(CommandError::Overloaded),
                Err(AppendError::Unavailable(error)) => return Err(CommandError::Unavailable(error)),
            }
        }
        Err(CommandError::Contended(stream))
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.journal.log
    }

    /// Appends `events`, and caches the state `after` them. Once begun this runs to completion even if the client
    /// disconnects: where no other process appends, the cache is trusted, so it must not miss an append.
    pub(super) async fn append(
        &self,
        loaded: Loaded<S>,
        after: Arc<S>,
        events: Vec<S::Event>,
        metadata: Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<S>, AppendError> {
        let version = Version(loaded.version.0 + events.len() as u64);
        let own = StreamWrite {
            stream: loaded.stream.clone(),
            expected: loaded.version,
            events: events.into_iter().map(Into::into).collect(),
        };
        let writes = std::iter::once(own).chain(others.iter().cloned()).collect();
        let append = Append { writes, metadata, recorded_at: self.journal.clock.now() };
        let executor = self.clone();
        let appended = async move {
            let appended = executor.journal.log.append(append).await.inspect_err(|error| {
                // It may have been stored nevertheless, and then what is cached is stale.
                if matches!(error, AppendError::Unavailable(_)) {
                    executor.cache.remove(&loaded.stream.id);
                }
            });
            let position = appended?.position();
            executor.cache.put(&loaded.stream.id, &after, version);
            executor.journal.acknowledge(position);
            if let Some(observer) = &executor.observer {
                observer(&loaded.state, &after);
            }
            Ok(Committed { state: after, version, position: Some(position) })
        };
        run_to_completion(&self.journal.tasks, appended).await
    }
}

fn outcome<S, E: Error>(executed: &Result<Committed<S>, CommandError<E>>) -> Outcome {
    match executed {
        Ok(Committed { position: Some(_), .. }) => Outcome::Recorded,
        Ok(Committed { position: None, .. }) => Outcome::Unchanged,
        Err(CommandError::Refused(_)) => Outcome::Refused,
        Err(CommandError::Contended(_)) => Outcome::Contended,
        Err(CommandError::Stale(_)) => Outcome::Stale,
        Err(CommandError::Overloaded) => Outcome::Overloaded,
        Err(CommandError::Unavailable(_)) => Outcome::Unavailable,
        Err(CommandError::Corrupt(..)) => Outcome::Corrupt,
    }
}
