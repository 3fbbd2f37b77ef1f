//! Stores what the projector has folded, in a background task beside the folding: one step at a time.

use std::future;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rivet_events::Position;
use rivet_events::log::StoreError;
use tokio::task::{JoinError, JoinSet};

use crate::batch;
use crate::checkpoint::Checkpoint;
use crate::read_models::{Inner, ReadModels};

/// Whether the generations were at the expected position, so that the step was stored; and how long that took.
type Stored = (Result<bool, StoreError>, Duration);

/// The live generations as the database has them, and the step that is being stored.
#[derive(Default)]
pub(super) struct Storing {
    checkpoints: Vec<Checkpoint>,
    /// The task that stores a step; one at most.
    step: JoinSet<Stored>,
    /// The position that this step leads to.
    to: Position,
    /// The result of a step that has ended, and is not concluded yet.
    ended: Option<Result<Stored, JoinError>>,
}

impl Storing {
    /// Starts over from the checkpoints as they were read from the database.
    pub(super) fn reset(&mut self, checkpoints: Vec<Checkpoint>) {
        self.checkpoints = checkpoints;
    }

    /// Every event up to here is stored.
    pub(super) fn position(&self) -> Position {
        self.checkpoints.iter().map(|stored| stored.position).min().unwrap_or_default()
    }

    /// Every event up to here is stored, or being stored.
    pub(super) fn begun(&self) -> Position {
        if self.is_idle() { self.position() } else { self.to }
    }

    /// Whether no step is being stored, so that one can begin.
    pub(super) fn is_idle(&self) -> bool {
        self.step.is_empty() && self.ended.is_none()
    }

    /// Begins to store everything that is folded, which is up to the position `to`.
    pub(super) fn begin(&mut self, inner: &Inner, to: Position) {
        let store = inner.store.clone();
        let checkpoints = self.checkpoints.clone();
        let changes = inner.unstored.copied(&checkpoints);
        self.to = to;
        self.step.spawn(async move {
            let began = Instant::now();
            let moved = batch::commit(&store, &checkpoints, &changes, to).await;
            (moved, began.elapsed())
        });
    }

    /// Waits until the step has ended; for ever if there is none.
    pub(super) async fn end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        match self.step.join_next().await {
            Some(ended) => self.ended = Some(ended),
            None => future::pending().await,
        }
    }

    /// Publishes the step that has ended, if one has. False if another process has advanced a generation: then
    /// nothing was stored.
    pub(super) fn conclude(&mut self, read_models: &ReadModels) -> Result<bool, StoreError> {
        let Some(ended) = self.ended.take() else { return Ok(true) };
        let (moved, took) = ended?;
        if !moved? {
            return Ok(false);
        }
        for stored in &mut self.checkpoints {
            stored.position = self.to;
        }
        read_models.publish(&self.checkpoints);
        let inner = &read_models.inner;
        inner.unstored.stored(self.to);
        let mut work = inner.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.batches += 1;
        work.busy += took;
        Ok(true)
    }

    /// Cancels the step that has begun, and resets everything.
    pub(super) async fn cancel(&mut self) {
        // The step may be stored all the same: the checkpoints are read again.
        self.step.shutdown().await;
        *self = Self::default();
    }
}
