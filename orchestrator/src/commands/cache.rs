//! An LRU cache of aggregate states, one per kind of aggregate.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use rivet_events::Version;

use crate::domain::Weigh;

/// Capacity in states.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Capacity in bytes, by [`Weigh`]: only data whose size clients choose counts.
const CAPACITY_BYTES: usize = 32 << 20;

/// Aggregates by id, each at the version it was last seen at. Evicts the least recently used. Clones share one cache.
///
/// One lock guards it all: a lookup or an insertion holds it for some hundred nanoseconds.
pub(super) struct StateCache<A>(Arc<Mutex<Entries<A>>>);

/// An aggregate at a version.
pub(super) struct State<A> {
    pub(super) aggregate: A,
    pub(super) version: Version,
    weight: usize,
    /// When it was put, as the number of the change.
    put: u64,
}

struct Entries<A> {
    states: LruCache<String, Arc<State<A>>>,
    /// Total weight of `states`.
    bytes: usize,
    /// The number of puts and removals so far, which number them.
    changes: u64,
    /// The last removal, or the put of the newest state that was evicted, whichever came later.
    newest_gone: u64,
    /// For aggregates that were not cached, the version to which the log was seen to bring them last.
    passed: LruCache<String, Version>,
}

impl<A> Clone for StateCache<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> Default for StateCache<A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Entries {
            states: LruCache::new(CAPACITY),
            bytes: 0,
            changes: 0,
            newest_gone: 0,
            passed: LruCache::new(CAPACITY),
        })))
    }
}

impl<A> StateCache<A> {
    fn entries(&self) -> MutexGuard<'_, Entries<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cached aggregate, now the most recently used.
    pub(super) fn get(&self, id: &str) -> Option<Arc<State<A>>> {
        self.entries().states.get(id).cloned()
    }

    /// Inserts the aggregate, unless the cache has it at the same or a higher version. Puts may arrive out of order;
    /// this check, and that of [`Self::put_loaded`], keep the cache, where no other process appends, from being older
    /// than an acknowledged append.
    pub(super) fn put(&self, id: &str, aggregate: &A, version: Version)
    where
        A: Clone + Weigh,
    {
        let state = State::new(aggregate, version);
        self.entries().put_newer(id, state);
    }

    /// The number of changes so far, for [`Self::put_loaded`].
    pub(super) fn changes(&self) -> u64 {
        self.entries().changes
    }

    /// As [`Self::put`], for an aggregate whose load from the log began after so many `changes`. It is not inserted if the
    /// load came too early: for a version that [`Self::advance`] has passed, or perhaps for that of a state that was put
    /// since and has gone.
    pub(super) fn put_loaded(&self, id: &str, aggregate: &A, version: Version, changes: u64)
    where
        A: Clone + Weigh,
    {
        let state = State::new(aggregate, version);
        let mut entries = self.entries();
        let is_passed = entries.passed.peek(id).is_some_and(|passed| version < *passed);
        if !is_passed && (entries.newest_gone <= changes || entries.states.contains(id)) {
            entries.put_newer(id, state);
        }
    }

    /// Drops the aggregate from the cache.
    pub(super) fn remove(&self, id: &str) {
        self.entries().remove(id);
    }

    /// Drops all aggregates from the cache.
    pub(super) fn clear(&self) {
        let mut entries = self.entries();
        entries.newest_gone = entries.next_change();
        entries.states.clear();
        entries.bytes = 0;
    }

    /// Brings the aggregate from the version before `reached` to it, as `next` does. Drops it if it is at an even earlier
    /// one, or if there is no next state.
    pub(super) fn advance(&self, id: &str, reached: Version, next: impl FnOnce(&A) -> Option<A>)
    where
        A: Clone + Weigh,
    {
        let (cached, changes) = {
            let mut entries = self.entries();
            let Some(cached) = entries.states.peek(id).cloned() else {
                entries.passed.put(id.to_owned(), reached);
                return;
            };
            (cached, entries.changes)
        };
        if cached.version >= reached {
            return;
        }
        let is_next = cached.version.0 + 1 == reached.0;
        match is_next.then(|| next(&cached.aggregate)).flatten() {
            Some(aggregate) => self.put_loaded(id, &aggregate, reached, changes),
            None => self.remove(id),
        }
    }
}

impl<A: Clone + Weigh> State<A> {
    fn new(aggregate: &A, version: Version) -> Self {
        Self { aggregate: aggregate.clone(), version, weight: aggregate.weight(), put: 0 }
    }
}

impl<A> Entries<A> {
    fn put_newer(&mut self, id: &str, state: State<A>) {
        if self.states.peek(id).is_none_or(|cached| cached.version < state.version) {
            self.put(id, state);
        }
    }

    fn put(&mut self, id: &str, state: State<A>) {
        if state.weight > CAPACITY_BYTES {
            self.remove(id);
            return;
        }
        let state = State { put: self.next_change(), ..state };
        self.bytes += state.weight;
        // Either the state before of the same aggregate, or the least recently used one.
        if let Some((before, replaced)) = self.states.push(id.to_owned(), Arc::new(state)) {
            self.bytes -= replaced.weight;
            if before != id {
                self.newest_gone = self.newest_gone.max(replaced.put);
            }
        }
        while self.bytes > CAPACITY_BYTES
            && let Some((_, evicted)) = self.states.pop_lru()
        {
            self.bytes -= evicted.weight;
            self.newest_gone = self.newest_gone.max(evicted.put);
        }
    }

    fn remove(&mut self, id: &str) {
        self.newest_gone = self.next_change();
        if let Some(removed) = self.states.pop(id) {
            self.bytes -= removed.weight;
        }
    }

    fn next_change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }
}

#[cfg(test)]
mod tests;
