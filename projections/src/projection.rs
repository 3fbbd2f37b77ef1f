//! What a read model is: a pure fold of the log into keyed rows.
//!
//! CONTRIBUTING.md says how to add a read model, and how to change one.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::{Envelope, StreamId, StreamType};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bulk;
use crate::folding::{self, Changes, Touched};
use crate::{
    job_flow, job_logs, job_queue, jobs, lifetimes, pipeline_activity, pipelines, runners, webhooks,
};

/// Every read model there is.
pub(crate) static ALL: &[&dyn AnyProjection] = &[
    &pipelines::Pipelines,
    &jobs::Jobs,
    &job_queue::JobQueue,
    &runners::Runners,
    &job_logs::JobLogs,
    &pipeline_activity::PipelineActivity,
    &job_flow::JobFlow,
    &lifetimes::Lifetimes,
    &webhooks::Webhooks,
];

/// A pure fold of events into rows by key. The same fold runs live and in a rebuild, on either database and in
/// memory. It gets the readable events of its kinds of stream, and no others.
pub trait Projection: Send + Sync + 'static {
    /// The name that operators see; also the stem of its tables.
    const NAME: &'static str;
    /// The version of the fold. It must be raised with every change to the rows that the same events produce.
    const VERSION: u32;
    /// The kinds of stream that it reads.
    const STREAMS: &'static [StreamType];
    /// The columns and indexes that queries filter and sort by.
    const SCHEMA: Schema;
    /// Capacity, in rows, of the cache that is kept between batches; 0 if an event never changes an existing row.
    const CACHED_ROWS: usize = 4096;
    /// One row, stored as a JSON document.
    type Row: Serialize + DeserializeOwned + Send;

    /// The key of the one row that the event changes, if it changes any. By default, the id of the event's stream:
    /// for read models with a row for each stream.
    #[must_use]
    fn key(envelope: &Envelope) -> Option<String> {
        Some(envelope.stream.id.clone())
    }

    /// Whether the event is the first one of its row, so that there is no stored row to load.
    #[must_use]
    fn begins(_envelope: &Envelope) -> bool {
        false
    }

    /// Applies the event to the row with its key, which is `None` if there is no such row yet. Returns the new row,
    /// or `None` to delete it.
    fn apply(row: Option<Self::Row>, envelope: &Envelope) -> Option<Self::Row>;

    /// Whether the row is obsolete at a time, and only waits to be overwritten. A verification ignores such rows.
    fn has_lapsed(_row: &Self::Row, _at: DateTime<Utc>) -> bool {
        false
    }
}

/// Columns and secondary indexes of a read model's table; the projector fills the columns from the document.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Fields of the document, by name.
    pub columns: &'static [Column],
    /// Each index is the list of its columns; `key` is a column too.
    pub indexes: &'static [&'static [&'static str]],
}

/// A field of the document that queries filter or sort by.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name of the field and of the column.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text, compared by its bytes.
    Text,
    /// A whole number; times are microseconds since 1970 UTC.
    Integer,
    /// True or false, as 1 or 0.
    Flag,
}

impl Column {
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Text }
    }

    pub(crate) const fn integer(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Integer }
    }

    pub(crate) const fn flag(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Flag }
    }
}

/// A [`Projection`] as a trait object, so that one list holds them all.
pub(crate) trait AnyProjection: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn schema(&self) -> Schema;

    /// Whether a document is obsolete at a time.
    fn has_lapsed(&self, document: &str, at: DateTime<Utc>) -> bool;

    /// Capacity of the row cache.
    fn cached_rows(&self) -> usize;

    /// The rows that these events change. Events of a parked stream change none.
    fn touched(&self, events: &[Arc<Envelope>], parked: &HashSet<StreamId>) -> Touched;

    /// Applies the events to the rows that they touch. An event that cannot be applied parks its stream: the later
    /// events of that stream change nothing.
    fn fold(&self, touched: Touched, events: &[Arc<Envelope>]) -> Changes;
}

impl<P: Projection> AnyProjection for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn schema(&self) -> Schema {
        P::SCHEMA
    }

    fn has_lapsed(&self, document: &str, at: DateTime<Utc>) -> bool {
        serde_json::from_str(document).is_ok_and(|row| P::has_lapsed(&row, at))
    }

    fn cached_rows(&self) -> usize {
        const { assert!(P::CACHED_ROWS == 0 || P::CACHED_ROWS > bulk::BATCH, "a batch does not fit") };
        P::CACHED_ROWS
    }

    fn touched(&self, events: &[Arc<Envelope>], parked: &HashSet<StreamId>) -> Touched {
        folding::touched::<P>(events, parked)
    }

    fn fold(&self, touched: Touched, events: &[Arc<Envelope>]) -> Changes {
        folding::fold::<P>(touched, events)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_read_models_are_unique_and_fit_a_table() {
        let names: BTreeSet<&str> = ALL.iter().map(|projection| projection.name()).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
