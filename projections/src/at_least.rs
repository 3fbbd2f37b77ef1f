//! Queries for single rows that reflect at least a position: they are answered as soon as every event up to it is
//! folded, even before the rows are stored (I9).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rivet_events::Position;
use tokio::time::{Instant, sleep_until};

use crate::checkpoint;
use crate::projection::Projection;
use crate::query::{self, QueryError};
use crate::read_models::ReadModels;

/// How fresh an answer has to be. By default, any state will do.
#[derive(Debug, Clone, Copy, Default)]
pub struct AtLeast {
    /// The answer has to reflect every event up to here.
    pub position: Position,
    /// How long to wait for that; after it, the answer is given as it is.
    pub timeout: Duration,
}

impl ReadModels {
    /// The row with this key, and whether it is as fresh as it has to be.
    pub(crate) async fn find_at_least<P: Projection>(
        &self,
        key: &str,
        at_least: AtLeast,
    ) -> Result<(Option<P::Row>, bool), QueryError> {
        let (mut unstored, fresh) = self.unstored::<P>(key..=key, at_least).await;
        let row = match unstored.pop() {
            Some(document) => document.map(|document| query::decode::<P>(&document)).transpose()?,
            None => self.find::<P>(key).await?,
        };
        Ok((row, fresh))
    }

    /// The documents of a range of keys that are folded, but may not be stored yet, in the order of the keys; `None`
    /// for a row that was deleted. Also, whether these documents, together with what the database returns from now
    /// on, are as fresh as they have to be.
    pub(crate) async fn unstored<P: Projection>(
        &self,
        keys: RangeInclusive<&str>,
        AtLeast { position, timeout }: AtLeast,
    ) -> (Vec<Option<Arc<str>>>, bool) {
        let until = Instant::now() + timeout;
        if *self.inner.leading.borrow() && self.position() < position {
            tokio::select! {
                () = self.inner.unstored.wait_for(position) => {}
                () = self.stored(position) => {}
                () = sleep_until(until) => {}
            }
        }
        let table = checkpoint::table(P::NAME, self.generation(P::NAME));
        if let Some(documents) = self.inner.unstored.documents(&table, keys, position) {
            return (documents, true);
        }
        let left = until.saturating_duration_since(Instant::now());
        (Vec::new(), self.wait_for(position, left).await)
    }
}
