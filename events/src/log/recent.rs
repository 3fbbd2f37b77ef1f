//! The last events that this process committed, decoded: who follows the log closely reads no table.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::envelope::{Envelope, Position};

/// A ring of events with contiguous positions, bounded in events and in bytes of payload.
#[derive(Debug)]
pub(super) struct Recent {
    max_events: usize,
    max_bytes: usize,
    bytes: usize,
    /// Each with the length of its payload.
    events: VecDeque<(Arc<Envelope>, usize)>,
}

impl Recent {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { max_events, max_bytes, bytes: 0, events: VecDeque::new() }
    }

    /// Adds an event that was just committed. If others were committed in between, elsewhere, the ring starts anew.
    pub(super) fn push(&mut self, envelope: Arc<Envelope>, payload_bytes: usize) {
        if self.events.back().is_some_and(|(last, _)| last.position.0 + 1 != envelope.position.0) {
            self.events.clear();
            self.bytes = 0;
        }
        self.bytes += payload_bytes;
        self.events.push_back((envelope, payload_bytes));
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some((_, dropped_bytes)) = self.events.pop_front() else { break };
            self.bytes -= dropped_bytes;
        }
    }

    /// Up to `limit` events after `after`; none if the first of them is not here.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<Envelope>>> {
        let first = self.events.front()?.0.position.0;
        let skipped = usize::try_from((after.0 + 1).checked_sub(first)?).ok()?;
        let count = self.events.len().checked_sub(skipped)?.min(limit);
        (count > 0).then(|| {
            self.events.range(skipped..skipped + count).map(|(event, _)| Arc::clone(event)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::envelope::{Metadata, StreamId, Version};
    use crate::event::Event;
    use crate::id::{EventId, RunnerId};
    use crate::runner::{RunnerEvent, RunnerRemoved};

    fn ring(max_events: usize, max_bytes: usize, positions: impl IntoIterator<Item = u64>) -> Recent {
        let mut recent = Recent::new(max_events, max_bytes);
        for position in positions {
            recent.push(envelope(position), 10);
        }
        recent
    }

    fn envelope(position: u64) -> Arc<Envelope> {
        let runner_id: RunnerId = "r".parse().unwrap();
        Arc::new(Envelope {
            position: Position(position),
            event_id: EventId::generate(),
            stream: StreamId::runner(&runner_id),
            sequence: Version(position),
            recorded_at: DateTime::UNIX_EPOCH,
            metadata: Metadata::default(),
            event: Event::Runner(RunnerEvent::Removed(RunnerRemoved {
                runner_id,
                removed_at: DateTime::UNIX_EPOCH,
            })),
        })
    }

    fn positions(recent: &Recent, after: u64, limit: usize) -> Option<Vec<u64>> {
        Some(recent.after(Position(after), limit)?.iter().map(|envelope| envelope.position.0).collect())
    }

    #[test]
    fn what_is_inside_is_served_from_any_place() {
        let recent = ring(10, 1_000, 5..=8);
        assert_eq!(positions(&recent, 4, 100), Some(vec![5, 6, 7, 8]));
        assert_eq!(positions(&recent, 5, 2), Some(vec![6, 7]));
        assert_eq!(positions(&recent, 7, 100), Some(vec![8]));
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
