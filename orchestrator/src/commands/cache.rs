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
}

struct Entries<A> {
    states: LruCache<String, Arc<State<A>>>,
    /// Total weight of `states`.
    bytes: usize,
    /// How often a state was removed; those that were evicted do not count.
    removals: u64,
}

impl<A> Clone for StateCache<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> Default for StateCache<A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Entries { states: LruCache::new(CAPACITY), bytes: 0, removals: 0 })))
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

    /// How often an aggregate was removed so far, for [`Self::put_loaded`].
    pub(super) fn removals(&self) -> u64 {
        self.entries().removals
    }

    /// As [`Self::put`], for an aggregate that was loaded from the log after `removals` were counted. If there was one
    /// since, nothing is inserted: perhaps it removed this aggregate at a version that the load came too early for.
    pub(super) fn put_loaded(&self, id: &str, aggregate: &A, version: Version, removals: u64)
    where
        A: Clone + Weigh,
    {
        let state = State::new(aggregate, version);
        let mut entries = self.entries();
        if entries.removals == removals {
            entries.put_newer(id, state);
        }
    }

    /// Drops the aggregate from the cache.
    pub(super) fn remove(&self, id: &str) {
        self.entries().remove(id);
    }

    /// Brings the aggregate from the version before `reached` to it, as `next` does. Drops it if it is at an even earlier
    /// one, or if there is no next state.
    pub(super) fn advance(&self, id: &str, reached: Version, next: impl FnOnce(&A) -> Option<A>)
    where
        A: Clone + Weigh,
    {
        let cached = self.entries().states.peek(id).cloned();
        let Some(cached) = cached.filter(|cached| cached.version < reached) else { return };
        let is_next = cached.version.0 + 1 == reached.0;
        match is_next.then(|| next(&cached.aggregate)).flatten() {
            Some(aggregate) => self.put(id, &aggregate, reached),
            None => self.remove(id),
        }
    }
}

impl<A: Clone + Weigh> State<A> {
    fn new(aggregate: &A, version: Version) -> Arc<Self> {
        Arc::new(Self { aggregate: aggregate.clone(), version, weight: aggregate.weight() })
    }
}

impl<A> Entries<A> {
    fn put_newer(&mut self, id: &str, state: Arc<State<A>>) {
        if self.states.peek(id).is_none_or(|cached| cached.version < state.version) {
            self.put(id, state);
        }
    }

    fn put(&mut self, id: &str, state: Arc<State<A>>) {
        self.bytes += state.weight;
        if let Some((_, evicted)) = self.states.push(id.to_owned(), state) {
            self.bytes -= evicted.weight;
        }
        while self.bytes > CAPACITY_BYTES
            && let Some((_, evicted)) = self.states.pop_lru()
        {
            self.bytes -= evicted.weight;
        }
    }

    fn remove(&mut self, id: &str) {
        self.removals += 1;
        if let Some(removed) = self.states.pop(id) {
            self.bytes -= removed.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for &str {
        fn weight(&self) -> usize {
            self.len()
        }
    }

    fn cached(states: &StateCache<&'static str>, id: &str) -> Option<(&'static str, u64)> {
        states.get(id).map(|state| (state.aggregate, state.version.0))
    }

    #[test]
    fn only_a_newer_state_takes_the_place_of_one() {
        let states = StateCache::default();
        states.put("a", &"second", Version(2));
        states.put("a", &"first", Version(1));
        assert_eq!(cached(&states, "a"), Some(("second", 2)));
        states.put("a", &"third", Version(3));
        assert_eq!(cached(&states, "a"), Some(("third", 3)));
    }

    #[test]
    fn what_was_loaded_before_a_removal_does_not_come_after_it() {
        let states = StateCache::default();
        let removals = states.removals();
        states.put("a", &"second", Version(2));
        states.remove("a");
        states.put_loaded("a", &"first", Version(1), removals);
        assert_eq!(cached(&states, "a"), None);
        states.put_loaded("a", &"second", Version(2), states.removals());
        assert_eq!(cached(&states, "a"), Some(("second", 2)));
    }

    #[test]
    fn a_state_goes_on_to_the_next_version_and_not_over_a_gap() {
        let states = StateCache::default();
        states.put("a", &"second", Version(2));
        states.advance("a", Version(2), |_| panic!("it is there already"));
        states.advance("a", Version(3), |&cached| (cached == "second").then_some("third"));
        assert_eq!(cached(&states, "a"), Some(("third", 3)));
        states.advance("a", Version(5), |_| panic!("there is one between"));
        assert_eq!(cached(&states, "a"), None);
        states.advance("a", Version(6), |_| panic!("it is not cached"));
        states.put("a", &"sixth", Version(6));
        states.advance("a", Version(7), |_| None);
        assert_eq!(cached(&states, "a"), None);
    }

    #[test]
    fn the_least_recently_used_leaves() {
        let states = StateCache::default();
        for id in 0..=CAPACITY.get() {
            states.put(&id.to_string(), &"", Version(1));
            states.get("0");
        }
        assert!(states.get("0").is_some() && states.get("1").is_none());
    }

    #[test]
    fn the_least_recently_used_leaves_also_where_there_are_few_large_ones() {
        let states = StateCache::default();
        let large = "x".repeat(CAPACITY_BYTES / 3).leak() as &str;
        for (n, id) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
            states.put(id, &large, Version(n as u64 + 1));
        }
        let versions = ["a", "b", "c", "d"].map(|id| cached(&states, id).map(|(_, version)| version));
        assert_eq!(versions, [Some(4), None, Some(3), Some(5)]);
        states.remove("a");
        states.advance("c", Version(9), |_| None);
        states.put("b", &large, Version(1));
        assert_eq!(states.entries().bytes, 2 * large.len());
    }
}
