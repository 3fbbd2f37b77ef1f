//! A follower: one reader's cursor in the feed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::ReadError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Feed, FeedEvent, Filter};

/// Shortest time between two reads of a follower that has caught up. Under load, one read then takes all that was
/// appended meanwhile.
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// Events of a page at most.
const PAGE: usize = 256;
/// Target size of a page, in bytes of JSON. A page can exceed it where its events are larger than those of the page
/// before, from whose average size the number of events is computed.
const PAGE_BYTES: usize = 1 << 20;

/// Reads the events that pass a filter, from a position on, and waits for new ones at the end of the log.
pub(crate) struct Follower {
    feed: Feed,
    heads: watch::Receiver<Position>,
    filter: Filter,
    position: Position,
    /// Events that were read after `position`, not filtered yet.
    page: VecDeque<Arc<FeedEvent>>,
    /// Number of events of the next page, so that it comes to about [`PAGE_BYTES`].
    limit: usize,
    /// Whether the last page went up to the head of the log, as far as it was known then.
    has_caught_up: bool,
    /// When a follower that has caught up reads again.
    next_read_at: Instant,
}

impl Follower {
    pub(super) fn new(
        feed: Feed,
        heads: watch::Receiver<Position>,
        filter: Filter,
        position: Position,
    ) -> Self {
        Self {
            feed,
            heads,
            filter,
            position,
            page: VecDeque::new(),
            limit: PAGE / 8,
            has_caught_up: false,
            next_read_at: Instant::now(),
        }
    }

    /// The cursor: every event up to here was returned, or does not pass the filter.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The next event that passes the filter, among those that were read already.
    pub(crate) fn peek(&mut self) -> Option<&FeedEvent> {
        while let Some(event) = self.page.pop_front_if(|event| !self.filter.passes(&event.envelope)) {
            self.position = event.position();
        }
        self.page.front().map(|event| &**event)
    }

    /// Like [`Self::peek`], and moves the cursor past the event.
    pub(crate) fn take(&mut self) -> Option<Arc<FeedEvent>> {
        self.peek()?;
        let event = self.page.pop_front()?;
        self.position = event.position();
        Some(event)
    }

    /// Reads the next page, if no event of the last one is left. False at the end of the log.
    pub(crate) async fn advance(&mut self) -> Result<bool, ReadError> {
        if self.page.is_empty() {
            self.page = self.feed.read(self.position, self.limit).await?.into();
            let read_up_to = self.page.back().map_or(self.position, |event| event.position());
            self.has_caught_up = read_up_to >= *self.heads.borrow();
            let bytes: usize = self.page.iter().map(|event| event.json().len()).sum();
            if let Some(fitting) = (self.page.len() * PAGE_BYTES).checked_div(bytes) {
                self.limit = fitting.clamp(1, PAGE);
            }
            self.next_read_at = Instant::now() + READ_INTERVAL;
        }
        Ok(!self.page.is_empty())
    }

    /// Waits until there is something to read, or until `deadline`.
    pub(crate) async fn wait(&mut self, deadline: Instant) {
        let position = self.position;
        let grown = async {
            sleep_until(self.next_read_at).await;
            let _ = self.heads.wait_for(|head| *head > position).await;
        };
        // A missed hint delays the follower until the deadline at most: its next read finds the events.
        let _ = timeout_at(deadline, grown).await;
    }

    /// Waits for the next event that passes the filter. `None` if there was none until `deadline`, or if reading past
    /// the events that do not pass takes longer.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Option<Arc<FeedEvent>>, ReadError> {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // Each reader's look at what is not there yet would be a query of its own.
            let is_due = !self.has_caught_up || Instant::now() >= self.next_read_at;
            if !is_due || !self.advance().await? {
                self.wait(deadline).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tests::{PATIENCE, append, log, positions};

    #[tokio::test]
    async fn a_reader_that_has_caught_up_waits_before_it_looks_again() {
        let log = log().await;
        append(&*log, 1..=3).await;
        let feed = Feed::new(log);
        let mut follower = feed.follow(Filter::default(), Position(0));
        assert_eq!(positions(&mut follower, 3).await, [1, 2, 3]);
        follower.next_read_at = Instant::now() + 2 * PATIENCE;
        // Whoever reads on has to wait for this one.
        let _other_reader = feed.0.next.lock().await;
        let soon = Instant::now() + Duration::from_millis(10);
        let next = tokio::time::timeout(PATIENCE, follower.next(soon)).await;
        assert!(next.expect("it reads on").unwrap().is_none());
    }
}
