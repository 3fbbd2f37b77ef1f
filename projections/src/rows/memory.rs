//! Rows in memory, for tests of folds, which need no database.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rivet_events::{Envelope, StreamId};

use crate::parked::ParkedStream;
use crate::projection::{AnyProjection, Projection};

/// The rows of one read model, and the streams that it has parked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryRows {
    pub(crate) documents: BTreeMap<String, Arc<str>>,
    pub(crate) parked: Vec<ParkedStream>,
}

impl MemoryRows {
    /// Applies these events as one batch, as the projector would in the database.
    pub(crate) fn advance(&mut self, projection: &dyn AnyProjection, events: &[Arc<Envelope>]) {
        let parked: HashSet<StreamId> = self.parked.iter().map(|parked| parked.stream.clone()).collect();
        let mut touched = projection.touched(events, &parked);
        for row in touched.rows.iter_mut().filter(|row| row.may_be_stored) {
            row.document = self.documents.get(&row.key).cloned();
        }
        let changes = projection.fold(touched, events);
        self.documents.extend(changes.upserts.into_iter().map(|upsert| (upsert.key, upsert.document)));
        for key in changes.deletes {
            self.documents.remove(&key);
        }
        self.parked.extend(changes.parked);
    }

    /// The row with this key.
    pub(crate) fn row<P: Projection>(&self, key: &str) -> Option<P::Row> {
        self.documents.get(key).map(|document| serde_json::from_str(document).expect("a row of ours"))
    }
}
