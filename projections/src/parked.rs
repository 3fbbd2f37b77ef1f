//! Parked streams and skipped events of a read model.
//!
//! A stream is parked at an event that cannot be applied: none of its later events changes the read model. An
//! operator can decide to skip the event. That decision is an event in the log, in the stream of the read model, so
//! that every rebuild skips it too (I6). A generation is filled with the skips that exist when it begins.

use std::collections::BTreeSet;

use rivet_events::log::{ReadError, StoreError};
use rivet_events::projection::{ProjectionEvent, ProjectionEventSkipped};
use rivet_events::{Event, Position, StreamId, Version};

use crate::query::{Query, QueryError, Value};
use crate::read_models::ReadModels;
use crate::rows::Connection;

/// A stream that a read model has parked, at an event that it could not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedStream {
    /// The stream.
    pub stream: StreamId,
    /// The position of that event.
    pub position: Position,
    /// Why it could not be applied.
    pub error: String,
}

impl ReadModels {
    /// The streams that a read model has parked, in the order of the events that they are parked at. They are those
    /// of the generation that queries of this process read: a stream must not be listed as recovered while these
    /// still read its old rows.
    pub async fn parked(&self, projection: &str) -> Result<Vec<ParkedStream>, QueryError> {
        let parked = async {
            let mut reader = self.inner.store.reader().await?;
            of(&mut reader.connection(), projection, self.generation(projection)).await
        };
        self.inner.store.limited(parked).await.map_err(QueryError::Unavailable)
    }

    /// The events that a read model has to skip.
    pub(crate) async fn skipped(&self, projection: &str) -> Result<BTreeSet<Position>, ReadError> {
        let skips = self.skips(projection).await?;
        Ok(skips.iter().map(|skip| skip.position).collect())
    }

    /// What was decided in the log about events that a read model has to skip.
    pub(crate) async fn skips(&self, projection: &str) -> Result<Vec<ProjectionEventSkipped>, ReadError> {
        let decided =
            self.inner.log.read_stream(&StreamId::projection(projection), Version::default()).await?;
        let skips = decided.iter().filter_map(|envelope| {
            let Event::Projection(event) = &envelope.event else { return None };
            match event {
                ProjectionEvent::EventSkipped(skip) => Some(skip.clone()),
                ProjectionEvent::RebuildRequested(_) | ProjectionEvent::StreamRetried(_) => None,
            }
        });
        Ok(skips.collect())
    }
}

/// The streams that a generation has parked, in the order of the events that they are parked at.
pub(crate) async fn of(
    connection: &mut Connection<'_>,
    projection: &str,
    generation: i64,
) -> Result<Vec<ParkedStream>, StoreError> {
    let query = Query::new("select stream, position, error from parked_streams where ")
        .of_generation(projection, generation)
        .push(" order by position");
    let rows = connection.query(&query).await?;
    Ok(rows.into_iter().filter_map(parked).collect())
}

fn parked(row: Vec<Value>) -> Option<ParkedStream> {
    let mut row = row.into_iter();
    let stream = row.next()?.into_text()?.parse().ok()?;
    let position = Position(row.next()?.count()?);
    Some(ParkedStream { stream, position, error: row.next()?.into_text()? })
}
