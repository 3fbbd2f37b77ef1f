//! The states of aggregates in memory.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use rivet_events::Version;

/// States kept, per kind of aggregate.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Aggregates by their ids, each as it stood at a version; the least recently used ones leave. Clones are the same.
///
/// One lock for all of them: it is held for a look or a note, some hundred nanoseconds.
pub(super) struct States<A>(Arc<Mutex<LruCache<String, Arc<State<A>>>>>);

/// An aggregate as it stood at a version.
pub(super) struct State<A> {
    pub(super) aggregate: A,
    pub(super) version: Version,
}

impl<A> Clone for States<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> Default for States<A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(CAPACITY))))
    }
}

impl<A> States<A> {
    fn states(&self) -> MutexGuard<'_, LruCache<String, Arc<State<A>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The aggregate as it was last noted.
    pub(super) fn get(&self, id: &str) -> Option<Arc<State<A>>> {
        self.states().get(id).cloned()
    }

    /// Notes the aggregate, unless a version as high is known: where nobody else appends, memory is then never behind an
    /// answer that was given.
    pub(super) fn put(&self, id: &str, aggregate: &A, version: Version)
    where
        A: Clone,
    {
        let state = Arc::new(State { aggregate: aggregate.clone(), version });
        let mut states = self.states();
        match states.get_mut(id) {
            Some(known) if known.version >= version => {}
            Some(known) => *known = state,
            None => {
                states.put(id.to_owned(), state);
            }
        }
    }

    /// Forgets the aggregate.
    pub(super) fn remove(&self, id: &str) {
        self.states().pop(id);
    }

    /// Forgets the aggregate where it is known below a version.
    pub(super) fn remove_before(&self, id: &str, reached: Version) {
        let mut states = self.states();
        if states.peek(id).is_some_and(|known| known.version < reached) {
            states.pop(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
