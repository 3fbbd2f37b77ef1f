//! The last events that readers of this process were given, for those who are about to ask for them.

use std::collections::VecDeque;
use std::sync::Arc;

use rivet_events::Position;

use super::FeedEvent;

/// Events kept at most.
const MAX_EVENTS: usize = 8_192;
/// Bytes of their JSON kept at most.
const MAX_BYTES: usize = 16 << 20;

/// A run of events without gaps, bounded in number and in bytes.
#[derive(Debug, Default)]
pub(super) struct Tail {
    events: VecDeque<Arc<FeedEvent>>,
    bytes: usize,
}

impl Tail {
    /// Up to `limit` events after `after`; none if the first of them is not here.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<FeedEvent>>> {
        let first = self.events.front()?.position().0;
        let skipped = usize::try_from((after.0 + 1).checked_sub(first)?).ok()?;
        let count = self.events.len().checked_sub(skipped)?.min(limit);
        (count > 0).then(|| self.events.range(skipped..skipped + count).cloned().collect())
    }

    /// Whether what comes right after this position is before everything that is here.
    pub(super) fn has_passed(&self, after: Position) -> bool {
        self.events.front().is_some_and(|first| after.0 + 1 < first.position().0)
    }

    /// Goes on with what was read from the log. Where that does not follow what is here, the tail starts anew.
    pub(super) fn extend(&mut self, events: &[Arc<FeedEvent>]) {
        for event in events {
            if self.events.back().is_some_and(|last| last.position().0 + 1 != event.position().0) {
                self.events.clear();
                self.bytes = 0;
            }
            self.bytes += event.json().len();
            self.events.push_back(Arc::clone(event));
            while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
                let Some(oldest) = self.events.pop_front() else { break };
                self.bytes -= oldest.json().len();
            }
        }
    }
}
