//! Rows as of a position: told as soon as every event up to it is folded, stored or not (I9).

use std::ops::RangeInclusive;
use std::time::Duration;

use rivet_events::Position;
use tokio::time::{Instant, sleep_until};

use crate::checkpoint;
use crate::projection::Projection;
use crate::query::{self, QueryError};
use crate::read_models::ReadModels;

/// How new an answer has to be. By default as new as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsOf {
    /// It has to show every event up to here.
    pub position: Position,
    /// How long it may wait for that; then it is given as it is.
    pub timeout: Duration,
}

impl ReadModels {
    /// The row with this key, and whether it is as new as it has to be.
    pub(crate) async fn find_as_of<P: Projection>(
        &self,
        key: &str,
        as_of: AsOf,
    ) -> Result<(Option<P::Row>, bool), QueryError> {
        let (mut unstored, fresh) = self.unstored::<P>(key..=key, as_of).await;
        let row = match unstored.pop() {
            Some(document) => document.map(|document| query::decode::<P>(&document)).transpose()?,
            None => self.find::<P>(key).await?,
        };
        Ok((row, fresh))
    }

    /// The documents of a range of keys that are folded and may not be stored yet, in the order of these, none for a row
    /// that is no more; and whether they and what the database has from now on are as new as they have to be.
    pub(crate) async fn unstored<P: Projection>(
        &self,
        keys: RangeInclusive<&str>,
        AsOf { position, timeout }: AsOf,
    ) -> (Vec<Option<String>>, bool) {
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
