//! One reader's way through the feed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rivet_events::Position;
use rivet_events::log::ReadError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Feed, FeedEvent, Filter};

/// Shortest time between two looks of one reader that has caught up: under load it takes what came meanwhile at once.
const REST: Duration = Duration::from_millis(50);

/// Events that are read at once at most.
const PAGE: usize = 256;
/// Bytes of JSON that are read at once: more only of a reader whose last page was smaller.
const PAGE_BYTES: usize = 1 << 20;

/// Follows the events that pass a filter, from a position on.
pub(crate) struct Follower {
    feed: Feed,
    heads: watch::Receiver<Position>,
    filter: Filter,
    position: Position,
    /// What was read after `position`, before the filter.
    page: VecDeque<Arc<FeedEvent>>,
    /// Events to read next, so that a page of large ones is no larger than one of small ones.
    limit: usize,
    /// Not to look again before.
    rested_at: Instant,
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
            rested_at: Instant::now(),
        }
    }

    /// Everything up to here was returned, or does not pass.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The next event, of those that were read already.
    pub(crate) fn peek(&mut self) -> Option<&FeedEvent> {
        while let Some(event) = self.page.pop_front_if(|event| !self.filter.passes(&event.envelope)) {
            self.position = event.position();
        }
        self.page.front().map(|event| &**event)
    }

    /// As [`Self::peek`], and passes it.
    pub(crate) fn take(&mut self) -> Option<Arc<FeedEvent>> {
        self.peek()?;
        let event = self.page.pop_front()?;
        self.position = event.position();
        Some(event)
    }

    /// Reads on once all that was read is passed. False at the end of the log.
    pub(crate) async fn advance(&mut self) -> Result<bool, ReadError> {
        if self.page.is_empty() {
            self.page = self.feed.read(self.position, self.limit).await?.into();
            let bytes: usize = self.page.iter().map(|event| event.json().len()).sum();
            if let Some(fitting) = (self.page.len() * PAGE_BYTES).checked_div(bytes) {
                self.limit = fitting.clamp(1, PAGE);
            }
            self.rested_at = Instant::now() + REST;
        }
        Ok(!self.page.is_empty())
    }

    /// Waits for something to read, until `deadline`.
    pub(crate) async fn wait(&mut self, deadline: Instant) {
        let position = self.position;
        let grown = async {
            sleep_until(self.rested_at).await;
            let _ = self.heads.wait_for(|head| *head > position).await;
        };
        // Late by the deadline at most; what was missed is found by the look after it.
        let _ = timeout_at(deadline, grown).await;
    }

    /// The next event, waiting for it; `None` where there was none until `deadline`, or it takes longer to get past
    /// what does not pass.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Option<Arc<FeedEvent>>, ReadError> {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            if !self.advance().await? {
                self.wait(deadline).await;
            }
        }
    }
}
