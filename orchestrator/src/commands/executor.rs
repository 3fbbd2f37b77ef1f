//! Executes the commands of one kind of aggregate.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::cqrs::AggregateEvent;
use rivet_events::database::Database;
use rivet_events::id::CommandId;
use rivet_events::log::{Append, AppendError, EventLog, StreamWrite};
use rivet_events::{Metadata, Position, StreamId, StreamType, Version};

use super::loader::{LoadError, Loader};
use super::states::{State, States};
use super::{CommandError, Journal};
use crate::domain::{NamedCommand, Weigh};
use crate::metrics::{CommandCounts, CommandMetrics, Outcome};
use crate::seen_through::seen_through;

/// How often a command is decided anew because its stream moved. Racing claims settle in one round; more than this
/// means a stream that many write at once, and the client is told to come back.
const MAX_TRIES: usize = 16;

/// Executes the commands of one kind of aggregate.
pub struct Executor<A: Aggregate> {
    journal: Arc<Journal>,
    loader: Arc<Loader<A>>,
    states: States<A>,
    counts: Arc<CommandCounts>,
    /// Is told of the aggregate before and after each append.
    observer: Option<Arc<Observer<A>>>,
}

type Observer<A> = dyn Fn(&A, &A) + Send + Sync;

/// An aggregate as it stood when it was loaded.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The aggregate.
    pub aggregate: A,
    /// The version it stands at.
    pub version: Version,
    stream: StreamId,
    /// Whether it is as good as the log: not from memory, or nobody else appends.
    fresh: bool,
}

/// What became of a command.
#[derive(Debug, Clone)]
pub struct Committed<A> {
    /// The aggregate after it.
    pub aggregate: A,
    /// Its version after it.
    pub version: Version,
    /// Where its last event stands; `None` if it had nothing to record.
    pub position: Option<Position>,
}

impl<A> Loaded<A> {
    /// The aggregate's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.stream.id
    }

    /// That the aggregate still stands at this version when another one's events are appended.
    #[must_use]
    pub fn unmoved(&self) -> StreamWrite {
        StreamWrite { stream: self.stream.clone(), expected: self.version, events: vec![] }
    }
}

impl<A: Aggregate> Clone for Executor<A> {
    fn clone(&self) -> Self {
        Self {
            journal: self.journal.clone(),
            loader: self.loader.clone(),
            states: self.states.clone(),
            counts: self.counts.clone(),
            observer: self.observer.clone(),
        }
    }
}

impl<A> Executor<A>
where
    A: Aggregate<Event: AggregateEvent, Services = (), Command: Clone + NamedCommand>
        + Clone
        + Weigh
        + 'static,
{
    pub(super) fn new(database: &Database, journal: Arc<Journal>, metrics: &CommandMetrics) -> Self {
        Self {
            loader: Arc::new(Loader::new(database, journal.log.clone())),
            journal,
            states: States::default(),
            counts: Arc::new(metrics.of(A::TYPE, A::Command::NAMES)),
            observer: None,
        }
    }

    /// With somebody who is told of the aggregate before and after each append.
    pub(super) fn observed(self, observer: impl Fn(&A, &A) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Loads, decides, appends; again, a bounded number of times, if the stream moved meanwhile.
    pub async fn execute(
        &self,
        id: impl Display,
        command: A::Command,
        metadata: &Metadata,
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        self.execute_along(id, command, metadata, &[]).await
    }

    /// As [`Self::execute`], with writes to other streams in the same append: with events of theirs, or only on
    /// condition that they have not moved. [`CommandError::Stale`] names the stream that has.
    pub async fn execute_along(
        &self,
        id: impl Display,
        command: A::Command,
        metadata: &Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        self.execute_on(self.load(id).await, command, metadata, others).await
    }

    /// As [`Self::execute_along`], for an id that was just made: nothing is there under it, and nothing is read.
    pub async fn execute_first(
        &self,
        id: impl Display,
        command: A::Command,
        metadata: &Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        self.execute_on(Ok(Self::absent(stream_of::<A>(id))), command, metadata, others).await
    }

    /// Counts what becomes of the command.
    async fn execute_on(
        &self,
        loaded: Result<Loaded<A>, CommandError<A::Error>>,
        command: A::Command,
        metadata: &Metadata,
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
        metadata: &Metadata,
        others: &[StreamWrite],
    ) -> Result<Committed<A>, CommandError<A::Error>> {
        let metadata = Metadata { command_id: Some(CommandId::generate()), ..metadata.clone() };
        let stream = loaded.stream.clone();
        for _ in 0..MAX_TRIES {
            let mut aggregate = loaded.aggregate.clone();
            let sink = EventSink::default();
            let decided = aggregate.handle(command.clone(), &(), &sink).await;
            let events = sink.collect().await;
            // What memory says may be behind another process: look once more before saying no, or "already so".
            if (decided.is_err() || events.is_empty()) && !loaded.fresh {
                loaded = self.reload_stream(&stream).await?;
                continue;
            }
            decided.map_err(CommandError::Refused)?;
            if events.is_empty() {
                return Ok(Committed { aggregate, version: loaded.version, position: None });
            }
            let decided_on = loaded.version;
            match self.append(loaded, aggregate, events, metadata.clone(), others).await {
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

    /// What a command would record, as a write to go along with another aggregate's command. What becomes of it, this
    /// executor does not see: [`Self::forget`] the aggregate afterwards.
    pub async fn decide(
        &self,
        loaded: &Loaded<A>,
        command: A::Command,
    ) -> Result<StreamWrite, CommandError<A::Error>> {
        let sink = EventSink::default();
        loaded.aggregate.clone().handle(command, &(), &sink).await.map_err(CommandError::Refused)?;
        let events = sink.collect().await.into_iter().map(Into::into).collect();
        Ok(StreamWrite { events, ..loaded.unmoved() })
    }

    /// Notes that nothing is there under an id that was just made, for the first command to it.
    pub fn expect_first(&self, id: impl Display) {
        let Loaded { aggregate, version, stream, .. } = Self::absent(stream_of::<A>(id));
        self.states.put(&stream.id, &aggregate, version);
    }

    fn absent(stream: StreamId) -> Loaded<A> {
        Loaded { aggregate: A::default(), version: Version::default(), stream, fresh: true }
    }

    /// Loads the aggregate from the log when it is needed next.
    pub fn forget(&self, id: impl Display) {
        self.states.remove(&stream_of::<A>(id).id);
    }

    /// The same, if memory is behind an event that stands in the log.
    pub(super) fn forget_before(&self, id: &str, reached: Version) {
        self.states.remove_before(id, reached);
    }

    /// The aggregate as this process last knew it, or else as the log has it.
    pub async fn load(&self, id: impl Display) -> Result<Loaded<A>, CommandError<A::Error>> {
        self.load_stream(&stream_of::<A>(id)).await
    }

    /// The aggregate as the log has it now, whatever other processes did.
    pub async fn load_fresh(&self, id: impl Display) -> Result<Loaded<A>, CommandError<A::Error>> {
        let stream = stream_of::<A>(id);
        let loaded = self.load_stream(&stream).await?;
        if loaded.fresh { Ok(loaded) } else { self.reload_stream(&stream).await }
    }

    /// The aggregate as its events are now, whatever is in memory: for one who has read in the log of what another
    /// command of this process is only about to remember.
    pub async fn reload(&self, id: impl Display) -> Result<Loaded<A>, CommandError<A::Error>> {
        self.reload_stream(&stream_of::<A>(id)).await
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.journal.log
    }

    async fn load_stream(&self, stream: &StreamId) -> Result<Loaded<A>, CommandError<A::Error>> {
        match self.states.get(&stream.id) {
            Some(state) => Ok(self.known(stream, &state)),
            None => self.reload_stream(stream).await,
        }
    }

    /// After a conflict: the winner's state, which this process most often has in memory.
    async fn load_newer(
        &self,
        stream: &StreamId,
        than: Version,
    ) -> Result<Loaded<A>, CommandError<A::Error>> {
        match self.states.get(&stream.id).filter(|state| state.version > than) {
            Some(state) => Ok(self.known(stream, &state)),
            None => self.reload_stream(stream).await,
        }
    }

    async fn reload_stream(&self, stream: &StreamId) -> Result<Loaded<A>, CommandError<A::Error>> {
        let (aggregate, version) = self.loader.load(stream).await.map_err(|error| match error {
            LoadError::Unavailable(error) => CommandError::Unavailable(error),
            LoadError::Corrupt(error) => CommandError::Corrupt(stream.clone(), error),
        })?;
        if version > Version::default() {
            self.states.put(&stream.id, &aggregate, version);
        }
        Ok(Loaded { aggregate, version, stream: stream.clone(), fresh: true })
    }

    fn known(&self, stream: &StreamId, state: &State<A>) -> Loaded<A> {
        let (aggregate, version) = (state.aggregate.clone(), state.version);
        Loaded { aggregate, version, stream: stream.clone(), fresh: !self.journal.shared }
    }

    /// Appends what was decided. Once begun it is remembered, too, whether or not its client stays: where nobody else
    /// appends, what is in memory is believed.
    pub(super) async fn append(
        &self,
        loaded: Loaded<A>,
        aggregate: A,
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
            let position = executor.journal.log.append(append).await?.position();
            executor.states.put(&loaded.stream.id, &aggregate, version);
            executor.journal.acknowledge(position);
            if let Some(observer) = &executor.observer {
                observer(&loaded.aggregate, &aggregate);
            }
            Ok(Committed { aggregate, version, position: Some(position) })
        };
        seen_through(&self.journal.tasks, appended).await
    }
}

/// The stream of an aggregate.
pub(super) fn stream_of<A: Aggregate>(id: impl Display) -> StreamId {
    let kind: StreamType = A::TYPE.parse().expect("invariant: an aggregate's type is a kind of stream");
    StreamId::new(kind, id)
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
