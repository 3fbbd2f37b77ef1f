//! An LRU cache of aggregate states, one per kind of aggregate.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use rivet_events::Version;

/// Capacity in states.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Capacity in bytes, by the weights of the states: only data whose size clients choose counts.
const CAPACITY_BYTES: usize = 32 << 20;

/// States by id, each at the version it was last seen at. Evicts the least recently used. Clones share one cache.
///
/// One lock guards it all: a lookup or an insertion holds it for some hundred nanoseconds.
#[derive(Clone)]
pub(super) struct StateCache<S> {
    entries: Arc<Mutex<Entries<S>>>,
    weigh: fn(&S) -> usize,
}

/// A state at a version.
pub(super) struct Cached<S> {
    pub(super) state: S,
    pub(super) version: Version,
    weight: usize,
    /// When it was put, as the number of the change.
    put: u64,
}

struct Entries<S> {
    states: LruCache<String, Arc<Cached<S>>>,
    /// Total weight of `states`.
    bytes: usize,
    /// The number of puts and removals so far, which number them.
    changes: u64,
    /// The last removal, or the put of the newest state that was evicted, whichever came later.
    newest_gone: u64,
    /// For ids that were not cached, the version to which the log was seen to bring them last.
    passed: LruCache<String, Version>,
}

impl<S: Clone> StateCache<S> {
    /// An empty cache, in which states have this weight, in bytes.
    pub(super) fn new(weigh: fn(&S) -> usize) -> Self {
        let entries = Entries {
            states: LruCache::new(CAPACITY),
            bytes: 0,
            changes: 0,
            newest_gone: 0,
            passed: LruCache::new(CAPACITY),
        };
        Self { entries: Arc::new(Mutex::new(entries)), weigh }
    }

    fn entries(&self) -> MutexGuard<'_, Entries<S>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cached state, now the most recently used.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Cached<S>>> {
        self.entries().states.get(id).cloned()
    }

    /// Inserts the state, unless the cache has one of the same or a higher version. Puts may arrive out of order;
    /// this check, and that of [`Self::put_loaded`], keep the cache, where no other process appends, from being older
    /// than an acknowledged append.
    pub(super) fn put(&self, id: &str, state: &S, version: Version) {
        self.entries().put_newer(id, self.cached(state, version));
    }

    /// The number of changes so far, for [`Self::put_loaded`].
    pub(super) fn changes(&self) -> u64 {
        self.entries().changes
    }

    /// As [`Self::put`], for a state whose load from the log began after so many `changes`. It is not inserted if the
    /// load came too early: for a version that [`Self::advance`] has passed, or perhaps for that of a state that was put
    /// since and has gone.
    pub(super) fn put_loaded(&self, id: &str, state: &S, version: Version, changes: u64) {
        let cached = self.cached(state, version);
        let mut entries = self.entries();
        let is_passed = entries.passed.peek(id).is_some_and(|passed| version < *passed);
        if !is_passed && (entries.newest_gone <= changes || entries.states.contains(id)) {
            entries.put_newer(id, cached);
        }
    }

    /// Drops the state from the cache.
    pub(super) fn remove(&self, id: &str) {
        self.entries().remove(id);
    }

    /// Drops all states from the cache.
    pub(super) fn clear(&self) {
        let mut entries = self.entries();
        entries.newest_gone = entries.next_change();
        entries.states.clear();
        entries.bytes = 0;
    }

    /// Brings the state from the version before `reached` to it, as `next` does. Drops it if it is at an even earlier
    /// one, or if there is no next state.
    pub(super) fn advance(&self, id: &str, reached: Version, next: impl FnOnce(&S) -> Option<S>) {
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
        match is_next.then(|| next(&cached.state)).flatten() {
            Some(state) => self.put_loaded(id, &state, reached, changes),
            None => self.remove(id),
        }
    }

    fn cached(&self, state: &S, version: Version) -> Cached<S> {
        Cached { state: state.clone(), version, weight: (self.weigh)(state), put: 0 }
    }
}

impl<S> Entries<S> {
    fn put_newer(&mut self, id: &str, newer: Cached<S>) {
        if self.states.peek(id).is_none_or(|cached| cached.version < newer.version) {
            self.put(id, newer);
        }
    }

    fn put(&mut self, id: &str, cached: Cached<S>) {
        if cached.weight > CAPACITY_BYTES {
            self.remove(id);
            return;
        }
        let cached = Cached { put: self.next_change(), ..cached };
        self.bytes += cached.weight;
        // Either the state before under the same id, or the least recently used one.
        if let Some((before, replaced)) = self.states.push(id.to_owned(), Arc::new(cached)) {
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
