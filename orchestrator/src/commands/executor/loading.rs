//! Obtains states for an [`Executor`], from its cache or from the log, and keeps the cache up to date.

use std::fmt::Display;
use std::sync::Arc;

use rivet_events::cqrs::AggregateEvent;
use rivet_events::log::StreamWrite;
use rivet_events::{Envelope, StreamId, Version};

use super::Executor;
use crate::commands::CommandError;
use crate::commands::cache::Cached;
use crate::commands::loader::LoadError;
use crate::domain::Decider;

/// An aggregate as it was when it was loaded.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<S> {
    /// Its state.
    pub state: Arc<S>,
    /// Its version.
    pub version: Version,
    pub(super) stream: StreamId,
    /// Whether it cannot be stale: it was read from the log, or no other process appends to the log.
    pub(super) fresh: bool,
}

impl<S> Loaded<S> {
    /// The aggregate's id.
    #[must_use]
    pub(crate) fn id(&self) -> &str {
        &self.stream.id
    }

    /// A write without events: the condition that this aggregate is still at this version when events of another one
    /// are appended.
    #[must_use]
    pub(crate) fn unmoved(&self) -> StreamWrite {
        StreamWrite { stream: self.stream.clone(), expected: self.version, events: vec![] }
    }
}

impl<S: Decider> Loaded<S> {
    /// The events of a command, as a write to go along with the command of another aggregate, and this aggregate after
    /// them. Its executor does not see that append: the caller says afterwards to [`Executor::remember`] the aggregate,
    /// or to [`Executor::evict`] it.
    pub(crate) fn decide(&self, command: S::Command) -> Result<(StreamWrite, Self), S::Error> {
        let events = self.state.decide(command)?;
        let version = Version(self.version.0 + events.len() as u64);
        let after = Self { state: Arc::new(self.state.after(&events)), version, ..self.clone() };
        let events = events.into_iter().map(Into::into).collect();
        Ok((StreamWrite { events, ..self.unmoved() }, after))
    }
}

impl<S: Decider> Executor<S> {
    /// The aggregate from the cache, or else from the log. It may be stale where other processes append.
    pub(crate) async fn load(&self, id: impl Display) -> Result<Loaded<S>, CommandError<S::Error>> {
        self.load_stream(&StreamId::new(S::KIND, id)).await
    }

    /// The aggregate as it is now, including appends of other processes. Where only this process appends, the cache
    /// is good enough for that.
    pub(crate) async fn load_fresh(&self, id: impl Display) -> Result<Loaded<S>, CommandError<S::Error>> {
        let stream = StreamId::new(S::KIND, id);
        let loaded = self.load_stream(&stream).await?;
        if loaded.fresh { Ok(loaded) } else { self.reload_stream(&stream).await }
    }

    /// The aggregate from the log, whatever is cached. For a caller who has seen an event in the log which a
    /// concurrent command of this process has appended, but perhaps not put into the cache yet.
    pub(crate) async fn reload(&self, id: impl Display) -> Result<Loaded<S>, CommandError<S::Error>> {
        self.reload_stream(&StreamId::new(S::KIND, id)).await
    }

    /// Whether the aggregate is still at the version at which it was loaded. For a caller that appends nothing on what it
    /// has loaded, so that no conflict tells.
    pub(crate) async fn is_current(&self, loaded: &Loaded<S>) -> Result<bool, CommandError<S::Error>> {
        Ok(loaded.fresh || self.reload_stream(&loaded.stream).await?.version == loaded.version)
    }

    pub(super) async fn load_stream(&self, stream: &StreamId) -> Result<Loaded<S>, CommandError<S::Error>> {
        match self.cache.get(&stream.id) {
            Some(cached) => Ok(self.cached(stream, &cached)),
            None => self.reload_stream(stream).await,
        }
    }

    /// After a conflict: the state after the append that won, which was most often made by this process and is
    /// cached.
    pub(super) async fn load_newer(
        &self,
        stream: &StreamId,
        than: Version,
    ) -> Result<Loaded<S>, CommandError<S::Error>> {
        if let Some(cached) = self.cache.get(&stream.id).filter(|cached| cached.version > than) {
            return Ok(self.cached(stream, &cached));
        }
        self.reload_stream(stream).await
    }

    pub(super) async fn reload_stream(&self, stream: &StreamId) -> Result<Loaded<S>, CommandError<S::Error>> {
        let changes = self.cache.changes();
        let cached = if self.reads_on { self.cache.get(&stream.id) } else { None };
        let loaded = match cached {
            Some(cached) => self.loader.read_on(stream, S::clone(&cached.state), cached.version).await,
            None => self.loader.load(stream).await,
        };
        let (state, version) = loaded.map_err(|error| match error {
            LoadError::Unavailable(error) => CommandError::Unavailable(error),
            LoadError::Corrupt(error) => CommandError::Corrupt(stream.clone(), error),
        })?;
        let state = Arc::new(state);
        if version > Version::default() {
            self.cache.put_loaded(&stream.id, &state, version, changes);
        } else if self.cache.get(&stream.id).is_some() {
            // Purged meanwhile, by another process.
            self.cache.remove(&stream.id);
        }
        Ok(Loaded { state, version, stream: stream.clone(), fresh: true })
    }

    fn cached(&self, stream: &StreamId, cached: &Cached<Arc<S>>) -> Loaded<S> {
        let (state, version) = (cached.state.clone(), cached.version);
        Loaded { state, version, stream: stream.clone(), fresh: !self.journal.shared }
    }

    /// Caches the aggregate.
    pub(crate) fn remember(&self, loaded: &Loaded<S>) {
        self.cache.put(&loaded.stream.id, &loaded.state, loaded.version);
    }

    /// Caches the empty state under an id that was just generated, so that the first command to it loads nothing.
    pub(crate) fn expect_first(&self, id: impl Display) {
        self.cache.put(&StreamId::new(S::KIND, id).id, &Arc::default(), Version::default());
    }

    /// Drops the aggregate from the cache: the next use loads it from the log.
    pub(crate) fn evict(&self, id: impl Display) {
        self.cache.remove(&StreamId::new(S::KIND, id).id);
    }

    /// Drops all aggregates from the cache.
    pub(crate) fn evict_all(&self) {
        self.cache.clear();
    }

    /// Brings the aggregate in the cache up to an event of the log. If the cached state is not the one just before that
    /// event, it is dropped instead.
    pub(crate) fn follow(&self, Envelope { stream, sequence, event, .. }: &Envelope) {
        self.cache.advance(&stream.id, *sequence, |cached| {
            let event = S::Event::from_event(event)?;
            Some(Arc::new(S::clone(cached).evolve(event.clone())))
        });
    }
}
