//! Streams that a read model has given up, and events that it does without.
//!
//! That an event is skipped is decided in the log, in the stream of the read model, so that every rebuild does without
//! the event too (I6). A generation is filled with the skips that there are when it begins.

use std::collections::BTreeSet;

use rivet_events::log::ReadError;
use rivet_events::projection::ProjectionEvent;
use rivet_events::{Event, Position, StreamId, Version};

use crate::query::{Query, QueryError, Value};
use crate::read_models::ReadModels;

/// A stream that a read model has given up at an event that it could not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedStream {
    /// The stream.
    pub stream: StreamId,
    /// The event.
    pub position: Position,
    /// Why it could not be applied.
    pub error: String,
}

impl ReadModels {
    /// The streams that the read model of this name has given up, in the order of these events: of the generation that
    /// queries of this process see, so that a stream that is parked no more is not read as it was before.
    pub async fn parked(&self, projection: &str) -> Result<Vec<ParkedStream>, QueryError> {
        let query = Query::new("select stream, position, error from parked_streams where projection = ")
            .bind(projection)
            .push(" and generation = ")
            .bind(self.generation(projection))
            .push(" order by position");
        let rows = async {
            let mut reader = self.inner.store.reader().await?;
            reader.connection().query(&query.text, &query.args).await
        };
        let rows = rows.await.map_err(QueryError::Unavailable)?;
        Ok(rows.into_iter().filter_map(parked).collect())
    }

    /// The events that a read model is to do without, as the log has it.
    pub(crate) async fn skipped(&self, projection: &str) -> Result<BTreeSet<Position>, ReadError> {
        let decided =
            self.inner.log.read_stream(&StreamId::projection(projection), Version::default()).await?;
        let skipped = decided.iter().filter_map(|envelope| {
            let Event::Projection(event) = &envelope.event else { return None };
            match event {
                ProjectionEvent::EventSkipped(skipped) => Some(skipped.position),
                ProjectionEvent::RebuildRequested(_) | ProjectionEvent::StreamRetried(_) => None,
            }
        });
        Ok(skipped.collect())
    }
}

fn parked(row: Vec<Value>) -> Option<ParkedStream> {
    let mut row = row.into_iter();
    let stream = row.next()?.into_text()?.parse().ok()?;
    let position = Position(row.next()?.count()?);
    Some(ParkedStream { stream, position, error: row.next()?.into_text()? })
}
