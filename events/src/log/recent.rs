//! A cache of the end of the log: a reader that follows closely is served from memory, and reads no table.

use std::collections::VecDeque;

use crate::envelope::Position;

/// A cache of the last items of a log, at contiguous positions. It is bounded in number and in bytes, and evicts the
/// oldest items first.
#[derive(Debug)]
pub struct Recent<T> {
    max_items: usize,
    max_bytes: usize,
    bytes: usize,
    /// The position of the first item.
    first: Position,
    /// Each with its size in bytes.
    items: VecDeque<(T, usize)>,
}

impl<T: Clone> Recent<T> {
    /// An empty cache for up to `max_items` items of up to `max_bytes` bytes together.
    #[must_use]
    pub fn new(max_items: usize, max_bytes: usize) -> Self {
        Self { max_items, max_bytes, bytes: 0, first: Position::default(), items: VecDeque::new() }
    }

    /// Adds the item at `position`. If that does not follow the last item, everything before is dropped.
    pub fn push(&mut self, position: Position, item: T, bytes: usize) {
        if position.0 != self.first.0 + self.items.len() as u64 {
            self.items.clear();
            self.bytes = 0;
            self.first = position;
        }
        self.bytes += bytes;
        self.items.push_back((item, bytes));
        while self.items.len() > self.max_items || self.bytes > self.max_bytes {
            let Some((_, dropped_bytes)) = self.items.pop_front() else { break };
            self.bytes -= dropped_bytes;
            self.first.0 += 1;
        }
    }

    /// Up to `limit` items after `after`; `None` if the first of them is not cached.
    #[must_use]
    pub fn after(&self, after: Position, limit: usize) -> Option<Vec<T>> {
        let skipped = usize::try_from((after.0 + 1).checked_sub(self.first.0)?).ok()?;
        let count = self.items.len().checked_sub(skipped)?.min(limit);
        (count > 0)
            .then(|| self.items.range(skipped..skipped + count).map(|(item, _)| item.clone()).collect())
    }

    /// The item at a position, if it is cached.
    #[must_use]
    pub fn get(&self, position: Position) -> Option<T> {
        let place = usize::try_from(position.0.checked_sub(self.first.0)?).ok()?;
        self.items.get(place).map(|(item, _)| item.clone())
    }

    /// Whether the item right after this position is older than all cached ones. False if the cache is empty.
    #[must_use]
    pub fn has_passed(&self, after: Position) -> bool {
        !self.items.is_empty() && after.0 + 1 < self.first.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(max_items: usize, max_bytes: usize, positions: impl IntoIterator<Item = u64>) -> Recent<u64> {
        let mut recent = Recent::new(max_items, max_bytes);
        for position in positions {
            recent.push(Position(position), position, 10);
        }
        recent
    }

    fn positions(recent: &Recent<u64>, after: u64, limit: usize) -> Option<Vec<u64>> {
        recent.after(Position(after), limit)
    }

    #[test]
    fn what_is_inside_is_served_from_any_place() {
        let recent = ring(10, 1_000, 5..=8);
        assert_eq!(positions(&recent, 4, 100), Some(vec![5, 6, 7, 8]));
        assert_eq!(positions(&recent, 5, 2), Some(vec![6, 7]));
        assert_eq!(positions(&recent, 7, 100), Some(vec![8]));
        assert_eq!([4, 5, 8, 9].map(|place| recent.get(Position(place))), [None, Some(5), Some(8), None]);
    }

    #[test]
    fn what_is_outside_is_left_to_the_table() {
        let recent = ring(10, 1_000, 5..=8);
        assert_eq!(positions(&recent, 3, 100), None);
        assert_eq!(positions(&recent, 8, 100), None);
        assert_eq!(positions(&recent, 900, 100), None);
        assert_eq!(positions(&ring(10, 1_000, []), 0, 100), None);
    }

    #[test]
    fn only_what_was_here_or_is_older_has_been_passed() {
        let recent = ring(10, 1_000, 5..=8);
        assert!([0, 3].iter().all(|after| recent.has_passed(Position(*after))));
        assert!([4, 7, 8, 900].iter().all(|after| !recent.has_passed(Position(*after))));
        assert!(!ring(10, 1_000, []).has_passed(Position(0)));
    }

    #[test]
    fn the_oldest_goes_first_when_a_bound_is_reached() {
        assert_eq!(positions(&ring(3, 1_000, 1..=9), 6, 100), Some(vec![7, 8, 9]));
        assert_eq!(positions(&ring(3, 1_000, 1..=9), 5, 100), None);
        assert_eq!(positions(&ring(100, 25, 1..=9), 7, 100), Some(vec![8, 9]));
        assert_eq!(positions(&ring(100, 5, 1..=9), 8, 100), None);
    }

    #[test]
    fn events_of_another_process_in_between_start_it_anew() {
        let recent = ring(10, 1_000, [1, 2, 3, 6, 7]);
        assert_eq!(positions(&recent, 1, 100), None);
        assert_eq!(positions(&recent, 5, 100), Some(vec![6, 7]));
    }
}
