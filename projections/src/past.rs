//! Time travel: read models as they were at an earlier position of the log, made by the same folds from the streams
//! that were alive then.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rivet_events::log::{ReadError, read_from_whole, read_newest};
use rivet_events::{Envelope, Event, Position, StreamId, StreamType, Version};

use crate::folding::{self, Upsert};
use crate::lifetimes;
use crate::projection::Projection;
use crate::query::QueryError;
use crate::read_models::ReadModels;

/// Most streams that one query may read.
const MAX_STREAMS: usize = 20_000;
/// Streams that are read at the same time.
const CONCURRENT_READS: usize = 8;

/// Why a query of the past failed.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// More streams were alive then than one query may read.
    #[error("more than {MAX_STREAMS} pipelines, jobs and runners were there at that moment")]
    TooMuch,
    /// The streams of that time could not be found.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] ReadError),
}

impl ReadModels {
    /// All rows that a read model had at a position, folded from the streams that were alive then. Only for read
    /// models whose rows are each made of one stream, so that only the streams being read are in memory. The live
    /// read models must have come to the position.
    pub(crate) async fn rows_at<P: Projection>(&self, position: Position) -> Result<Vec<P::Row>, PastError> {
        let streams = self.alive_at(P::STREAMS, position).await?;
        let skipped = &self.skipped(P::NAME).await?;
        let rows = stream::iter(streams)
            .map(|stream| async move {
                let events = self.events_until(&stream, position, skipped).await?;
                Ok::<_, PastError>(rows::<P>(&events))
            })
            .buffer_unordered(CONCURRENT_READS);
        rows.try_concat().await
    }

    /// The streams of these kinds that were alive at a position.
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

    /// The rows that a read model would have had at a position with only these streams in the log. Its rows may each
    /// be made of many streams, so all events of the streams are in memory together.
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
        Ok(rows::<P>(&events))
    }

    /// The row that a read model had at a position, if that row is made of one stream only.
    pub(crate) async fn row_at<P: Projection>(
        &self,
        stream: &StreamId,
        position: Position,
    ) -> Result<Option<P::Row>, ReadError> {
        Ok(self.each_at::<P>([stream.clone()], position).await?.pop().flatten())
    }

    /// As [`Self::row_at`], for each of these streams, in their order.
    pub(crate) async fn each_at<P: Projection>(
        &self,
        streams: impl IntoIterator<Item = StreamId, IntoIter: Send>,
        position: Position,
    ) -> Result<Vec<Option<P::Row>>, ReadError> {
        let skipped = &self.skipped(P::NAME).await?;
        stream::iter(streams)
            .map(|stream| async move {
                Ok(rows::<P>(&self.events_until(&stream, position, skipped).await?).pop())
            })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    /// The events of a stream as a read model gets them: without skipped ones. Of a runner only those are read from one on
    /// that tells its whole state; of a pipeline only those that its row depends on, unless one of these cannot be read.
    /// (An earlier one may be such a one too: then the past shows what the read model, which has parked the stream, does not.)
    async fn events_until(
        &self,
        stream: &StreamId,
        position: Position,
        skipped: &BTreeSet<Position>,
    ) -> Result<Vec<Arc<Envelope>>, ReadError> {
        let log = &*self.inner.log;
        let is_applied = |envelope: &Envelope| !skipped.contains(&envelope.position);
        if stream.kind == StreamType::Pipeline && skipped.is_empty() {
            let events = read_newest(log, stream, position).await?;
            if !events.iter().any(|envelope| matches!(envelope.event, Event::Unreadable(_))) {
                return Ok(events);
            }
        }
        let mut events = if stream.kind == StreamType::Runner {
            read_from_whole(log, stream, position, is_applied).await?
        } else {
            log.read_stream(stream, Version::default()).await?
        };
        events.retain(|envelope| envelope.position <= position && is_applied(envelope));
        Ok(events)
    }
}

/// The rows that these events make. As in the live read model, an event that cannot be applied parks its stream.
fn rows<P: Projection>(events: &[Arc<Envelope>]) -> Vec<P::Row> {
    let changes = folding::fold::<P>(folding::touched::<P>(events, &HashSet::new()), events);
    let row = |upsert: Upsert| serde_json::from_str(&upsert.document);
    let rows: Result<_, _> = changes.upserts.into_iter().map(row).collect();
    rows.expect("invariant: a row can be read as it was written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folding::tests::Counter;
    use crate::testing::{Scene, log_of};

    #[test]
    fn an_event_that_panics_leaves_the_row_as_it_was_before() {
        let scene = Scene::new(1);
        let events = [scene.launch(0), scene.claim(1, 1), scene.cancel(1, 2), scene.start(1, 3)];
        assert_eq!(rows::<Counter>(&log_of(events)), [2]);
    }
}
