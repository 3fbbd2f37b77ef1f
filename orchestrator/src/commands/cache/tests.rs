//! What the cache keeps, and what it refuses to take.

use super::*;

/// A cache of texts, which weigh their length.
fn empty() -> StateCache<&'static str> {
    StateCache::new(|text| text.len())
}

fn cached(states: &StateCache<&'static str>, id: &str) -> Option<(&'static str, u64)> {
    states.get(id).map(|cached| (cached.state, cached.version.0))
}

#[test]
fn only_a_newer_state_takes_the_place_of_one() {
    let states = empty();
    states.put("a", &"second", Version(2));
    states.put("a", &"first", Version(1));
    assert_eq!(cached(&states, "a"), Some(("second", 2)));
    states.put("a", &"third", Version(3));
    assert_eq!(cached(&states, "a"), Some(("third", 3)));
}

#[test]
fn what_was_loaded_before_a_removal_does_not_come_after_it() {
    let states = empty();
    let before = states.changes();
    states.put("a", &"second", Version(2));
    states.remove("a");
    states.put_loaded("a", &"first", Version(1), before);
    assert_eq!(cached(&states, "a"), None);
    states.put_loaded("a", &"second", Version(2), states.changes());
    assert_eq!(cached(&states, "a"), Some(("second", 2)));
}

#[test]
fn what_was_loaded_before_a_newer_state_was_put_and_evicted_does_not_come_after_it() {
    let states = empty();
    let before = states.changes();
    states.put("a", &"second", Version(2));
    let between = states.changes();
    for id in 0..CAPACITY.get() {
        states.put(&id.to_string(), &"", Version(1));
    }
    states.put_loaded("a", &"first", Version(1), before);
    assert_eq!(cached(&states, "a"), None);
    states.put_loaded("a", &"second", Version(2), between);
    assert_eq!(cached(&states, "a"), Some(("second", 2)));
}

#[test]
fn a_state_heavier_than_the_cache_takes_the_place_of_no_other() {
    let states = empty();
    let before = states.changes();
    states.put("a", &"first", Version(1));
    states.put("b", &"first", Version(1));
    let heavy = "x".repeat(CAPACITY_BYTES + 1).leak() as &str;
    states.put("a", &heavy, Version(2));
    states.put_loaded("a", &"first", Version(1), before);
    assert_eq!((cached(&states, "a"), cached(&states, "b")), (None, Some(("first", 1))));
}

#[test]
fn what_was_loaded_before_the_log_went_on_is_not_cached_after_that() {
    let states = empty();
    let before = states.changes();
    states.advance("a", Version(2), |_| panic!("it is not cached"));
    states.put_loaded("a", &"first", Version(1), before);
    assert_eq!(cached(&states, "a"), None);
    states.put_loaded("a", &"second", Version(2), before);
    assert_eq!(cached(&states, "a"), Some(("second", 2)));
}

#[test]
fn nothing_is_left_in_a_cache_that_was_cleared_nor_comes_back() {
    let states = empty();
    let before = states.changes();
    states.put("a", &"second", Version(2));
    states.clear();
    states.put_loaded("a", &"first", Version(1), before);
    assert_eq!((cached(&states, "a"), states.entries().bytes), (None, 0));
}

#[test]
fn a_state_goes_on_to_the_next_version_and_not_over_a_gap() {
    let states = empty();
    states.put("a", &"second", Version(2));
    states.advance("a", Version(2), |_| panic!("it is there already"));
    states.advance("a", Version(3), |&cached| (cached == "second").then_some("third"));
    assert_eq!(cached(&states, "a"), Some(("third", 3)));
    let next = |_: &_| {
        states.remove("b");
        Some("fourth")
    };
    states.advance("a", Version(4), next);
    assert_eq!(cached(&states, "a"), Some(("fourth", 4)));
    states.advance("a", Version(6), |_| panic!("there is one between"));
    assert_eq!(cached(&states, "a"), None);
    states.advance("a", Version(6), |_| panic!("it is not cached"));
    states.put("a", &"sixth", Version(6));
    states.advance("a", Version(7), |_| None);
    assert_eq!(cached(&states, "a"), None);
}

#[test]
fn the_least_recently_used_leaves() {
    let states = empty();
    for id in 0..=CAPACITY.get() {
        states.put(&id.to_string(), &"", Version(1));
        states.get("0");
    }
    assert!(states.get("0").is_some() && states.get("1").is_none());
}

#[test]
fn the_least_recently_used_leaves_also_where_there_are_few_large_ones() {
    let states = empty();
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
