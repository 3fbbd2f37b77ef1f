//! The states of aggregates in memory.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use rivet_events::Version;

use crate::domain::Weigh;

/// States kept, per kind of aggregate.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// The same, in bytes of what clients have sent.
const CAPACITY_BYTES: usize = 32 << 20;

/// Aggregates by their ids, each as it stood at a version; the least recently used ones leave. Clones are the same.
///
/// One lock for all of them: it is held for a look or a note, some hundred nanoseconds.
pub(super) struct States<A>(Arc<Mutex<Known<A>>>);

/// An aggregate as it stood at a version.
pub(super) struct State<A> {
    pub(super) aggregate: A,
    pub(super) version: Version,
    weight: usize,
}

struct Known<A> {
    states: LruCache<String, Arc<State<A>>>,
    /// What all of them weigh.
    bytes: usize,
}

impl<A> Clone for States<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> Default for States<A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Known { states: LruCache::new(CAPACITY), bytes: 0 })))
    }
}

impl<A> States<A> {
    fn known(&self) -> MutexGuard<'_, Known<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The aggregate as it was last noted.
    pub(super) fn get(&self, id: &str) -> Option<Arc<State<A>>> {
        self.known().states.get(id).cloned()
    }

    /// Notes the aggregate, unless a version as high is known: where nobody else appends, memory is then never behind an
    /// answer that was given.
    pub(super) fn put(&self, id: &str, aggregate: &A, version: Version)
    where
        A: Clone + Weigh,
    {
        let weight = aggregate.weight();
        let state = Arc::new(State { aggregate: aggregate.clone(), version, weight });
        let mut known = self.known();
        if known.states.peek(id).is_none_or(|known| known.version < version) {
            known.put(id, state);
        }
    }

    /// Forgets the aggregate.
    pub(super) fn remove(&self, id: &str) {
        self.known().remove(id);
    }

    /// Forgets the aggregate where it is known below a version.
    pub(super) fn remove_before(&self, id: &str, reached: Version) {
        let mut known = self.known();
        if known.states.peek(id).is_some_and(|known| known.version < reached) {
            known.remove(id);
        }
    }
}

impl<A> Known<A> {
    fn put(&mut self, id: &str, state: Arc<State<A>>) {
        self.bytes += state.weight;
        if let Some((_, left)) = self.states.push(id.to_owned(), state) {
            self.bytes -= left.weight;
        }
        while self.bytes > CAPACITY_BYTES
            && let Some((_, left)) = self.states.pop_lru()
        {
            self.bytes -= left.weight;
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(left) = self.states.pop(id) {
            self.bytes -= left.weight;
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

    fn known(states: &States<&'static str>, id: &str) -> Option<(&'static str, u64)> {
        states.get(id).map(|state| (state.aggregate, state.version.0))
    }

    #[test]
    fn only_a_newer_state_takes_the_place_of_one() {
        let states = States::default();
        states.put("a", &"second", Version(2));
        states.put("a", &"first", Version(1));
        assert_eq!(known(&states, "a"), Some(("second", 2)));
        states.put("a", &"third", Version(3));
        assert_eq!(known(&states, "a"), Some(("third", 3)));
    }

    #[test]
    fn what_is_behind_is_forgotten() {
        let states = States::default();
        states.put("a", &"second", Version(2));
        states.remove_before("a", Version(2));
        assert_eq!(known(&states, "a"), Some(("second", 2)));
        states.remove_before("a", Version(3));
        assert_eq!(known(&states, "a"), None);
    }

    #[test]
    fn the_least_recently_used_leaves() {
        let states = States::default();
        for id in 0..=CAPACITY.get() {
            states.put(&id.to_string(), &"", Version(1));
            states.get("0");
        }
        assert!(states.get("0").is_some() && states.get("1").is_none());
    }
    #[test]
    fn the_least_recently_used_leaves_also_where_there_are_few_large_ones() {
        let states = States::default();
        let large = "x".repeat(CAPACITY_BYTES / 3).leak() as &str;
        for (n, id) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
            states.put(id, &large, Version(n as u64 + 1));
        }
        let versions = ["a", "b", "c", "d"].map(|id| known(&states, id).map(|(_, version)| version));
        assert_eq!(versions, [Some(4), None, Some(3), Some(5)]);
        states.remove("a");
        states.remove_before("c", Version(9));
        states.put("b", &large, Version(1));
        assert_eq!(states.known().bytes, 2 * large.len());
    }
}
