//! Executes the commands of one kind of aggregate: load, decide, append at the version decided on.
//!
//! States come from a cache, where one may be stale if other processes append to the log. To a command this does no
//! harm: the append would conflict, and a refusal or "nothing to do" is believed only after a load from the log.
//! Whoever only reads a state has to reckon with a stale one ([`Executor::load`], [`Executor::load_fresh`]).

mod loading;

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::database::Database;
use rivet_events::id::CommandId;
use rivet_events::log::{Append, AppendError, EventLog, StreamWrite};
use rivet_events::{Metadata, Position, Version};

use super::cache::StateCache;
use super::loader::Loader;
use super::{CommandError, Journal};
use crate::domain::{Executable, NamedCommand};
use crate::metrics::{CommandCounts, CommandMetrics, Outcome};
use crate::run_to_completion::run_to_completion;
pub(crate) use loading::Loaded;

/// Tries of one command before it fails as contended. A try is used up by a conflict, or by a cached state that had
/// to be loaded again. Racing claims settle in one more try; a command that runs out of tries meets a stream that
/// many write at once, and its client is told to come back.
const MAX_TRIES: usize = 16;

/// Executes the commands of one kind of aggregate.
pub(crate) struct Executor<A: Aggregate> {
    journal: Arc<Journal>,
    loader: Arc<Loader<A>>,
    cache: StateCache<Arc<A>>,
    counts: Arc<CommandCounts>,
    /// Whether a load from the log reads on from the cached state.
    reads_on: bool,
    /// Called with the aggregate before and after each append.
    observer: Option<Arc<Observer<A>>>,
}

type Observer<A> = dyn Fn(&A, &A) + Send + Sync;

/// The outcome of a command that succeeded.
#[derive(Debug, Clone)]
pub(crate) struct Committed<A> {
    /// The aggregate after it.
    pub aggregate: Arc<A>,
    /// Its version after it.
    pub version: Version,
    /// The position of its last event; `None` if there was nothing to record.
    pub position: Option<Position>,
}

impl<A: Aggregate> Clone for Executor<A> {
    fn clone(&self) -> Self {
        Self {
            journal: self.journal.clone(),
            loader: self.loader.clone(),
            cache: self.cache.clone(),
            counts: self.counts.clone(),
            reads_on: self.reads_on,
            observer: self.observer.clone(),
        }
    }
}

impl<A: Executable> Executor<A> {
    pub(super) fn new(database: &Database, journal: Arc<Journal>, metrics: &CommandMetrics) -> Self {
        Self {
            loader: Arc::new(Loader::new(database, journal.log.clone())),
            journal,
            cache: StateCache::default(),
            counts: Arc::new(metrics.of(A::KIND.as_str(), A::Command::NAMES)),
            reads_on: false,
            observer: None,
        }
    }

    /// For streams that become long, and are never purged and begun anew: a load from the log reads only what follows
    /// the cached state.
    pub(super) fn reading_on(self) -> Self {
        Self { reads_on: true, ..self }
    }

    /// Adds an observer, which is called with the aggregate before and after each append.
    pub(super) fn observed(self, observer: impl Fn(&A, &A) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Loads the aggregate, lets it decide, and appends its events. Tries again, up to 16 times in all, if the
    /// stream moved meanwhile.
    pub(crate) async fn execute(
        &self,
        id: impl Display,
        command: A::Command,
        metadata: &Metadata,
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        self.execute_along(id, command, metadata, &[]).await
    }

    /// Like [`Self::execute`], with metadata that depend on the state that the command is decided on.
    pub(crate) async fn execute_by(
        &self,
        id: impl Display,
        command: A::Command,
        metadata: impl Fn(&A) -> Metadata + Send + Sync,
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        self.execute_on(self.load(id).await, command, metadata, &[]).await
    }

    /// Like [`Self::execute`], with writes to other streams in the same append: either with events, or without, as
    /// the condition that the stream has not moved. [`CommandError::Stale`] names the other stream that has.
    pub(crate) async fn execute_along(
        &self,
        id: impl Display,
        command: A::Command,
        metadata: &Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        self.execute_on(self.load(id).await, command, |_| metadata.clone(), others).await
    }

    /// Executes the command, and counts its outcome.
    async fn execute_on(
        &self,
        loaded: Result<Loaded<A>, CommandError<A::Error>>,
        command: A::Command,
        metadata: impl Fn(&A) -> Metadata + Send + Sync,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        let name = command.name();
        let executed = match loaded {
            Ok(loaded) => self.try_execute(loaded, command, metadata, others).await,
            Err(error) => Err(error),
        };
        self.counts.count(name, outcome(&executed));
        executed
    }

    async fn try_execute(
        &self,
        mut loaded: Loaded<A>,
        command: A::Command,
        metadata: impl Fn(&A) -> Metadata + Send + Sync,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        let command_id = Some(CommandId::generate());
        let stream = loaded.stream.clone();
        for _ in 0..MAX_TRIES {
            let mut aggregate = loaded.aggregate.clone();
            let sink = EventSink::default();
            let decided = Arc::make_mut(&mut aggregate).handle(command.clone(), &(), &sink).await;
            let events = sink.collect().await;
            // A cached state may be stale: before refusing, or answering that it is already so, decide again on the
            // state from the log.
            if (decided.is_err() || events.is_empty()) && !loaded.fresh {
                loaded = self.reload_stream(&stream).await?;
                continue;
            }
            decided.map_err(CommandError::Refused)?;
            if events.is_empty() {
                return Ok(Committed { aggregate, version: loaded.version, position: None });
            }
            let decided_on = loaded.version;
            let metadata = Metadata { command_id, ..metadata(&loaded.aggregate) };
            match self.append(loaded, aggregate, events, metadata, others).await {
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

    /// The events of a command, as a write to go along with the command of another aggregate, and the aggregate after
    /// them. This executor does not see that append: the caller says afterwards to [`Self::remember`] the aggregate, or
    /// to [`Self::evict`] it.
    pub(crate) async fn decide(
        &self,
        loaded: &Loaded<A>,
        command: A::Command,
    ) -> Result<(StreamWrite, Loaded<A>), CommandError<A::Error>> {
        let sink = EventSink::default();
        let mut after = loaded.clone();
        let decided = Arc::make_mut(&mut after.aggregate).handle(command, &(), &sink).await;
        decided.map_err(CommandError::Refused)?;
        let events: Vec<_> = sink.collect().await.into_iter().map(Into::into).collect();
        after.version = Version(loaded.version.0 + events.len() as u64);
        Ok((StreamWrite { events, ..loaded.unmoved() }, after))
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.journal.log
    }

    /// Appends `events`, and caches the `aggregate` after them. Once begun this runs to completion even if the client
    /// disconnects: where no other process appends, the cache is trusted, so it must not miss an append.
    pub(super) async fn append(
        &self,
        loaded: Loaded<A>,
        aggregate: Arc<A>,
        events: Vec<A::Event>,
        metadata: Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, AppendError> {
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
            executor.cache.put(&loaded.stream.id, &aggregate, version);
            executor.journal.acknowledge(position);
            if let Some(observer) = &executor.observer {
                observer(&loaded.aggregate, &aggregate);
            }
            Ok(Committed { aggregate, version, position: Some(position) })
        };
        run_to_completion(&self.journal.tasks, appended).await
    }
}

fn outcome<A, E: Error>(executed: &Result<Committed<A>, CommandError<E>>) -> Outcome {
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
