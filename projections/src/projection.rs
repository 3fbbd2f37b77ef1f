//! What a read model is: a pure fold of the log into keyed rows.
//!
//! To add a read model:
//! 1. a folder with `mod.rs` (the question that it answers; its row), `fold.rs`, `queries.rs` and `tests.rs`;
//! 2. its line in `ALL`.
//!
//! It is built at the next start. To change one, raise its `VERSION`: it is rebuilt, while the old one serves.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::{Envelope, Event, StreamId, StreamType};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::parked::ParkedStream;
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

/// A pure keyed fold. The same one serves live and in a rebuild, on every database and in memory.
pub trait Projection: Send + Sync + 'static {
    /// The name that operators see; also the stem of its tables.
    const NAME: &'static str;
    /// Raised whenever the rows that the same events make change in any way.
    const VERSION: u32;
    /// The kinds of stream that it reads.
    const STREAMS: &'static [StreamType];
    /// What queries filter and sort by.
    const SCHEMA: Schema;
    /// Rows that are kept in memory between batches: none, where an event never changes a row that is there already.
    const KNOWN_ROWS: usize = 4096;
    /// One row, stored as a JSON document.
    type Row: Serialize + DeserializeOwned + Send;

    /// The key of the one row that the event changes, if it changes any.
    fn key(envelope: &Envelope) -> Option<String>;

    /// Whether the event is the first one of its row, so that there is none to read.
    #[must_use]
    fn begins(_envelope: &Envelope) -> bool {
        false
    }

    /// The row after the event. `None` in is first sight, `None` out deletes it.
    fn apply(row: Option<Self::Row>, envelope: &Envelope) -> Option<Self::Row>;

    /// Whether the row says nothing any more at a time: only waits for its place to be taken. A verification passes
    /// over such rows.
    fn has_lapsed(_row: &Self::Row, _at: DateTime<Utc>) -> bool {
        false
    }
}

/// Generated columns and secondary indexes of a read model's table.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Fields of the document, by name.
    pub columns: &'static [Column],
    /// Each the list of its columns; `key` is one too.
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

/// A [`Projection`] without its types, so that one list holds them all.
pub(crate) trait AnyProjection: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn schema(&self) -> Schema;

    /// Whether a document says nothing any more at a time.
    fn has_lapsed(&self, document: &str, at: DateTime<Utc>) -> bool;

    /// Rows to keep in memory between batches.
    fn known_rows(&self) -> usize;

    /// Which rows these events change. Those of a parked stream change none.
    fn keys(&self, events: &[Arc<Envelope>], parked: &HashSet<StreamId>) -> Keys;

    /// What these events, whose keys these are, make of the stored rows. An event that cannot be applied parks its
    /// stream: the later events of that stream change nothing.
    fn fold(&self, stored: HashMap<String, String>, events: &[Arc<Envelope>], keys: Vec<EventKey>)
    -> Changes;
}

/// The key of the row that an event changes, if it changes any, or why it cannot be applied.
pub(crate) type EventKey = Result<Option<String>, String>;

/// Which rows of one read model some events change.
pub(crate) struct Keys {
    /// Of each event.
    pub(crate) of_events: Vec<EventKey>,
    /// Those whose row may be there before, each once: what to load before [`AnyProjection::fold`].
    pub(crate) to_load: Vec<String>,
}

/// What a batch of events makes of one read model.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// New and changed rows.
    pub(crate) upserts: Vec<Upsert>,
    /// Keys of rows that are no more.
    pub(crate) deletes: Vec<String>,
    /// Streams that this batch parked.
    pub(crate) parked: Vec<ParkedStream>,
}

/// A row that is new or changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Upsert {
    pub(crate) key: String,
    pub(crate) document: String,
    /// Whether there was none before.
    pub(crate) is_new: bool,
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

    fn keys(&self, events: &[Arc<Envelope>], parked: &HashSet<StreamId>) -> Keys {
        let key = |envelope: &Arc<Envelope>| {
            if parked.contains(&envelope.stream) { Ok(None) } else { key_of::<P>(envelope) }
        };
        let of_events: Vec<_> = events.iter().map(key).collect();
        let mut seen = HashSet::new();
        let mut to_load = Vec::new();
        for (envelope, key) in events.iter().zip(&of_events) {
            if let Ok(Some(key)) = key
                && seen.insert(key.as_str())
                && !P::begins(envelope)
            {
                to_load.push(key.clone());
            }
        }
        Keys { of_events, to_load }
    }

    fn known_rows(&self) -> usize {
        P::KNOWN_ROWS
    }

    fn fold(
        &self,
        stored: HashMap<String, String>,
        events: &[Arc<Envelope>],
        keys: Vec<EventKey>,
    ) -> Changes {
        let mut folding = Folding::<P> { stored, rows: HashMap::new(), newly_parked: HashMap::new() };
        for (envelope, key) in events.iter().zip(keys) {
            let Some(key) = key.transpose() else { continue };
            if folding.newly_parked.contains_key(&envelope.stream) {
                continue;
            }
            if let Err(error) = key.and_then(|key| folding.apply(key, envelope)) {
                let parked =
                    ParkedStream { stream: envelope.stream.clone(), position: envelope.position, error };
                folding.newly_parked.insert(envelope.stream.clone(), parked);
            }
        }
        folding.finish()
    }
}

fn key_of<P: Projection>(envelope: &Envelope) -> EventKey {
    if !P::STREAMS.contains(&envelope.stream.kind) {
        return Ok(None);
    }
    if let Event::Unreadable(unreadable) = &envelope.event {
        return Err(format!("{} cannot be read: {}", unreadable.event_type, unreadable.error));
    }
    caught(|| P::key(envelope))
}

/// A batch on its way through a fold: rows are decoded once and encoded once, however many events they take.
struct Folding<'a, P: Projection> {
    stored: HashMap<String, String>,
    rows: HashMap<String, FoldedRow<'a, P::Row>>,
    newly_parked: HashMap<StreamId, ParkedStream>,
}

struct FoldedRow<'a, R> {
    key: String,
    row: Option<R>,
    /// The events in it, for making it again after one that broke it.
    applied: Vec<&'a Envelope>,
}

impl<'a, P: Projection> Folding<'a, P> {
    fn apply(&mut self, key: String, envelope: &'a Envelope) -> Result<(), String> {
        let folded = match self.rows.entry(key) {
            Entry::Occupied(folded) => folded.into_mut(),
            Entry::Vacant(free) => {
                let row = decode::<P>(&self.stored, free.key())?;
                let key = free.key().clone();
                free.insert(FoldedRow { key, row, applied: Vec::new() })
            }
        };
        let before = folded.row.take();
        match caught(|| P::apply(before, envelope)) {
            Ok(row) => {
                folded.row = row;
                folded.applied.push(envelope);
                Ok(())
            }
            Err(error) => {
                let before = decode::<P>(&self.stored, &folded.key)?;
                folded.row = folded.applied.iter().fold(before, |row, envelope| P::apply(row, envelope));
                Err(error)
            }
        }
    }

    fn finish(self) -> Changes {
        let mut changes = Changes::default();
        for (key, folded) in self.rows {
            let before = self.stored.get(&key);
            match folded.row {
                Some(row) => {
                    let document = serde_json::to_string(&row)
                        .expect("invariant: a row has text keys and no failing fields");
                    if before != Some(&document) {
                        let is_new = before.is_none();
                        changes.upserts.push(Upsert { key, document, is_new });
                    }
                }
                None if before.is_some() => changes.deletes.push(key),
                None => {}
            }
        }
        changes.upserts.sort_unstable();
        changes.deletes.sort_unstable();
        changes.parked = self.newly_parked.into_values().collect();
        changes.parked.sort_unstable_by_key(|parked| parked.position);
        changes
    }
}

fn decode<P: Projection>(stored: &HashMap<String, String>, key: &str) -> Result<Option<P::Row>, String> {
    let Some(document) = stored.get(key) else { return Ok(None) };
    serde_json::from_str(document)
        .map(Some)
        .map_err(|error| format!("row {key} of {} cannot be read: {error}", P::NAME))
}

/// A bug in a fold must cost one stream and not the projector.
fn caught<T>(fold: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(fold)).map_err(|panic| format!("the fold panicked: {}", message(&*panic)))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
