//! Read models as they were at a position of the log: the same folds, over the streams that were alive then.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rivet_events::log::ReadError;
use rivet_events::{Envelope, Event, Position, StreamId, StreamType, Version};

use crate::lifetimes;
use crate::projection::Projection;
use crate::query::QueryError;
use crate::read_models::ReadModels;

/// Streams that one question may look at.
const MAX_STREAMS: usize = 20_000;
/// Streams that are read at the same time.
const CONCURRENT_READS: usize = 8;

/// Why the past was not told.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// More was alive then than one question may look at.
    #[error("more than {MAX_STREAMS} pipelines, jobs and runners were there at that moment")]
    TooMuch,
    /// The streams of that time are not known.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] ReadError),
}

impl ReadModels {
    /// All rows that a read model had at a position, by what its fold makes of the streams that were alive then; for
    /// read models whose rows are made of one stream each, so that no more of the streams is in memory than is being read.
    /// The read models must have come to the position.
    pub(crate) async fn rows_at<P: Projection>(&self, position: Position) -> Result<Vec<P::Row>, PastError> {
        let streams = self.alive_at(P::STREAMS, position).await?;
        let skipped = &self.skipped(P::NAME).await?;
        let rows = stream::iter(streams)
            .map(|stream| async move {
                let events = self.events_until(&stream, position, skipped).await?;
                Ok::<_, PastError>(fold::<P>(&events))
            })
            .buffer_unordered(CONCURRENT_READS);
        rows.try_concat().await
    }

    /// Streams of these kinds that were alive at a position.
    pub(crate) async fn alive_at(
        &self,
        kinds: &[StreamType],
        position: Position,
    ) -> Result<Vec<StreamId>, PastError> {
        let mut streams = Vec::new();
        for kind in kinds {
            let left = MAX_STREAMS.saturating_sub(streams.len());
            streams.extend(lifetimes::alive(self, *kind, position, left + 1).await?);
            if streams.len() > MAX_STREAMS {
                return Err(PastError::TooMuch);
            }
        }
        Ok(streams)
    }

    /// The rows that a read model would have had at a position, had there been these streams alone, however many of them
    /// make up a row.
    pub(crate) async fn rows_of<P: Projection>(
        &self,
        streams: Vec<StreamId>,
        position: Position,
    ) -> Result<Vec<P::Row>, PastError> {
        let skipped = &self.skipped(P::NAME).await?;
        let events: Vec<Vec<Arc<Envelope>>> = stream::iter(streams)
            .map(|stream| async move { self.events_until(&stream, position, skipped).await })
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut events: Vec<Arc<Envelope>> = events.into_iter().flatten().collect();
        events.sort_unstable_by_key(|envelope| envelope.position);
        Ok(fold::<P>(&events))
    }

    /// The row that a read model had at a position, where it is made of one stream alone.
    pub(crate) async fn row_at<P: Projection>(
        &self,
        stream: &StreamId,
        position: Position,
    ) -> Result<Option<P::Row>, ReadError> {
        let skipped = self.skipped(P::NAME).await?;
        Ok(fold::<P>(&self.events_until(stream, position, &skipped).await?).pop())
    }

    /// A stream as a read model sees it: without what an operator has it skip, up to an event that cannot be read.
    async fn events_until(
        &self,
        stream: &StreamId,
        position: Position,
        skipped: &BTreeSet<Position>,
    ) -> Result<Vec<Arc<Envelope>>, ReadError> {
        let mut events = self.inner.log.read_stream(stream, Version::default()).await?;
        events.retain(|envelope| envelope.position <= position && !skipped.contains(&envelope.position));
        let is_readable = |envelope: &Arc<Envelope>| !matches!(envelope.event, Event::Unreadable(_));
        let seen = events.iter().take_while(|envelope| is_readable(envelope)).count();
        events.truncate(seen);
        Ok(events)
    }
}

fn fold<P: Projection>(events: &[Arc<Envelope>]) -> Vec<P::Row> {
    let mut rows: HashMap<String, P::Row> = HashMap::new();
    for envelope in events.iter().filter(|envelope| P::STREAMS.contains(&envelope.stream.kind)) {
        let Some(key) = P::key(envelope) else { continue };
        let row = rows.remove(&key);
        if let Some(row) = P::apply(row, envelope) {
            rows.insert(key, row);
        }
    }
    rows.into_values().collect()
}
