//! The status of every read model, above all how far it is behind the log.

use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::log::StoreError;
use rivet_events::{Position, elapsed};
use serde::Serialize;
use utoipa::ToSchema;

use crate::checkpoint::Generation;
use crate::query::QueryError;
use crate::read_models::ReadModels;

/// One generation of a read model, as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ReadModel, example = json!({
    "name": "jobs",
    "version": 1,
    "state": "live",
    "position": 42,
    "head": 42,
    "lag_events": 0,
    "lag_seconds": 0.0,
    "parked": 0,
}))]
pub struct Status {
    /// The read model.
    pub name: &'static str,
    /// The version of the fold that made it.
    pub version: u32,
    /// `live`, or `rebuilding` for one that is being filled beside the live one of that name.
    pub state: &'static str,
    /// Every event up to here is in it.
    pub position: Position,
    /// Position of the last event of the log.
    pub head: Position,
    /// Events that are not in it yet.
    pub lag_events: u64,
    /// Age of the oldest of them, in seconds; 0 if there is none.
    pub lag_seconds: f64,
    /// Number of streams that it has parked.
    pub parked: u64,
}

/// What the projector of this process has done since its start; all zero if another process has run it all the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectorWork {
    /// Batches stored.
    pub batches: u64,
    /// Events folded, counted once for all read models at the same position.
    pub events: u64,
    /// Time spent on loading, folding and writing them.
    pub busy: Duration,
}

impl ReadModels {
    /// What the projector of this process has done since its start.
    #[must_use]
    pub fn projector_work(&self) -> ProjectorWork {
        *self.inner.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of every read model, live ones and those that are being rebuilt, in the order of their names.
    pub async fn status(&self, now: DateTime<Utc>) -> Result<Vec<Status>, QueryError> {
        self.inner.store.limited(self.read_status(now)).await.map_err(QueryError::Unavailable)
    }

    async fn read_status(&self, now: DateTime<Utc>) -> Result<Vec<Status>, StoreError> {
        let generations = {
            let mut reader = self.inner.store.reader().await?;
            Generation::load(&mut reader.connection()).await?
        };
        let head = self.inner.log.head().await?;
        let mut statuses = Vec::with_capacity(generations.len());
        for Generation { checkpoint, parked, .. } in generations {
            let lag_events = head.0.saturating_sub(checkpoint.position.0);
            let lag_seconds =
                if lag_events == 0 { 0.0 } else { self.age_after(checkpoint.position, now).await? };
            statuses.push(Status {
                name: checkpoint.projection.name(),
                version: checkpoint.version,
                state: checkpoint.state.as_str(),
                position: checkpoint.position,
                head,
                lag_events,
                lag_seconds,
                parked: parked.len() as u64,
            });
        }
        Ok(statuses)
    }

    async fn age_after(&self, position: Position, now: DateTime<Utc>) -> Result<f64, StoreError> {
        let next = self.inner.log.read_all(position, 1).await?;
        Ok(next.first().map_or(0.0, |next| elapsed(next.recorded_at, now).as_secs_f64()))
    }
}
