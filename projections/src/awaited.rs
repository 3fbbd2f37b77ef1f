//! The positions that callers wait for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rivet_events::Position;

/// How many callers wait for each position. Kept exactly: anybody may ask for a position that the log will never reach, and
/// that counts only while it waits.
#[derive(Default)]
pub(crate) struct Awaited {
    waiting: Mutex<BTreeMap<Position, usize>>,
}

impl Awaited {
    /// Counts a caller as waiting for a position, until the guard is dropped.
    pub(crate) fn begin(&self, position: Position) -> Waiting<'_> {
        *self.waiting().entry(position).or_default() += 1;
        Waiting { awaited: self, position }
    }

    /// Whether somebody waits for a position after `position`.
    pub(crate) fn is_after(&self, position: Position) -> bool {
        self.waiting().last_key_value().is_some_and(|(last, _)| *last > position)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Position, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard: a caller waits.
#[must_use = "nobody waits any more once it is dropped"]
pub(crate) struct Waiting<'a> {
    awaited: &'a Awaited,
    position: Position,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.awaited.waiting();
        let Entry::Occupied(mut count) = waiting.entry(self.position) else { return };
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_awaited_only_as_long_as_somebody_waits() {
        let awaited = Awaited::default();
        let near = awaited.begin(Position(7));
        let (far, too_far) = (awaited.begin(Position::MAX), awaited.begin(Position::MAX));
        drop(far);
        assert!(awaited.is_after(Position(1_000)));
        drop(too_far);
        assert!(awaited.is_after(Position(6)) && !awaited.is_after(Position(7)));
        drop(near);
        assert!(!awaited.is_after(Position(0)));
    }
}
