//! Folds a batch of events for one read model, in two steps: [`touched`] finds the rows that the events change, so
//! that the caller can load them, and [`fold`] applies the events to them.
//!
//! Each row is decoded once and encoded once, however many events change it. An event that cannot be applied parks
//! its stream, and leaves its row as it was.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rivet_events::{Envelope, Event, StreamId};

use crate::parked::ParkedStream;
use crate::projection::Projection;

/// The rows of one read model that some events change.
pub(crate) struct Touched {
    /// Each row once.
    pub(crate) rows: Vec<TouchedRow>,
    /// For each event, the row that it changes.
    of_events: Vec<ChangedRow>,
}

/// A row that events change.
pub(crate) struct TouchedRow {
    pub(crate) key: String,
    /// Whether the row may exist already: then its document must be loaded before the events are folded.
    pub(crate) may_be_stored: bool,
    /// The stored document; `None` if there is no such row.
    pub(crate) document: Option<Arc<str>>,
    /// The length of the stored document, which is known before it is loaded.
    pub(crate) bytes: usize,
}

impl Touched {
    /// Each row, with the index of the first event that changes it.
    pub(crate) fn first_changes(&self) -> impl Iterator<Item = (usize, &TouchedRow)> {
        // The rows are in the order of these events.
        let mut rows = self.rows.iter().enumerate().peekable();
        self.of_events.iter().enumerate().filter_map(move |(n, row)| {
            let (_, row) = rows.next_if(|(place, _)| *row == Ok(Some(*place)))?;
            Some((n, row))
        })
    }
}

/// The index of the row that an event changes, if it changes any; or why the event cannot be applied.
type ChangedRow = Result<Option<usize>, String>;

/// The changes that a batch of events makes to one read model.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// New and changed rows.
    pub(crate) upserts: Vec<Upsert>,
    /// Keys of the rows to delete.
    pub(crate) deletes: Vec<String>,
    /// Streams that this batch parked.
    pub(crate) parked: Vec<ParkedStream>,
}

/// A row that is new or changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Upsert {
    pub(crate) key: String,
    /// Shared by all that keep it in memory, as it may be large.
    pub(crate) document: Arc<str>,
}

/// The rows that these events change. Events of a parked stream change none.
pub(crate) fn touched<P: Projection>(events: &[Arc<Envelope>], parked: &HashSet<StreamId>) -> Touched {
    let (mut rows, mut places) = (Vec::new(), HashMap::new());
    let row_of = |envelope: &Arc<Envelope>| {
        let Some(key) = key_of::<P>(envelope, parked)? else { return Ok(None) };
        let place = match places.entry(key) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(free) => {
                let (key, may_be_stored) = (free.key().clone(), !P::begins(envelope));
                rows.push(TouchedRow { key, may_be_stored, document: None, bytes: 0 });
                *free.insert(rows.len() - 1)
            }
        };
        Ok(Some(place))
    };
    let of_events = events.iter().map(row_of).collect();
    Touched { rows, of_events }
}

fn key_of<P: Projection>(envelope: &Envelope, parked: &HashSet<StreamId>) -> Result<Option<String>, String> {
    if !P::STREAMS.contains(&envelope.stream.kind) || parked.contains(&envelope.stream) {
        return Ok(None);
    }
    if let Event::Unreadable(unreadable) = &envelope.event {
        return Err(format!("{} cannot be read: {}", unreadable.event_type, unreadable.error));
    }
    caught(|| P::key(envelope))
}

/// Applies the events to the rows that they touch. An event that cannot be applied parks its stream: the later events
/// of that stream change nothing.
pub(crate) fn fold<P: Projection>(touched: Touched, events: &[Arc<Envelope>]) -> Changes {
    let Touched { rows, of_events } = touched;
    let rows = rows.into_iter().map(FoldedRow::new).collect();
    let mut folding = Folding::<P> { events, of_events: &of_events, rows, newly_parked: HashMap::new() };
    for (n, (envelope, row)) in events.iter().zip(&of_events).enumerate() {
        let Some(row) = row.clone().transpose() else { continue };
        if folding.newly_parked.contains_key(&envelope.stream) {
            continue;
        }
        if let Err(error) = row.and_then(|place| folding.apply(place, n)) {
            let parked = ParkedStream { stream: envelope.stream.clone(), position: envelope.position, error };
            folding.newly_parked.insert(envelope.stream.clone(), parked);
        }
    }
    folding.finish()
}

struct Folding<'a, P: Projection> {
    events: &'a [Arc<Envelope>],
    of_events: &'a [ChangedRow],
    rows: Vec<FoldedRow<P>>,
    newly_parked: HashMap<StreamId, ParkedStream>,
}

struct FoldedRow<P: Projection> {
    key: String,
    /// The stored document.
    document: Option<Arc<str>>,
    /// The row as it is so far. `None` if there is no row, or the document is not decoded yet.
    row: Option<P::Row>,
    /// Whether the document is decoded.
    is_read: bool,
}

impl<P: Projection> FoldedRow<P> {
    fn new(touched: TouchedRow) -> Self {
        Self { key: touched.key, document: touched.document, row: None, is_read: false }
    }

    /// Decodes the stored row.
    fn read(&self) -> Result<Option<P::Row>, String> {
        let Some(document) = &self.document else { return Ok(None) };
        serde_json::from_str(document)
            .map(Some)
            .map_err(|error| format!("row {} of {} cannot be read: {error}", self.key, P::NAME))
    }
}

impl<P: Projection> Folding<'_, P> {
    /// Applies event number `n` of the batch to the row at index `place`. If that fails, the row stays as it was.
    fn apply(&mut self, place: usize, n: usize) -> Result<(), String> {
        let folded = &mut self.rows[place];
        if !folded.is_read {
            folded.row = folded.read()?;
            folded.is_read = true;
        }
        let before = folded.row.take();
        match caught(|| P::apply(before, &self.events[n])) {
            Ok(row) => {
                folded.row = row;
                Ok(())
            }
            Err(error) => {
                self.rows[place].row = self.before(place, n)?;
                Err(error)
            }
        }
    }

    /// Folds the row at index `place` again up to before event number `n`, as the failed fold has consumed it.
    fn before(&self, place: usize, n: usize) -> Result<Option<P::Row>, String> {
        let was_applied = |envelope: &Envelope| {
            self.newly_parked.get(&envelope.stream).is_none_or(|parked| envelope.position < parked.position)
        };
        let applied = self.events[..n]
            .iter()
            .zip(self.of_events)
            .filter(|(envelope, row)| **row == Ok(Some(place)) && was_applied(envelope));
        Ok(applied.fold(self.rows[place].read()?, |row, (envelope, _)| P::apply(row, envelope)))
    }

    fn finish(self) -> Changes {
        let mut changes = Changes::default();
        for folded in self.rows.into_iter().filter(|folded| folded.is_read) {
            let FoldedRow { key, document: before, row, .. } = folded;
            match row {
                Some(row) => {
                    let document = serde_json::to_string(&row)
                        .expect("invariant: a row has text keys and no failing fields");
                    if before.as_deref() != Some(&*document) {
                        changes.upserts.push(Upsert { key, document: document.into() });
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

/// Turns a panic into an error: a bug in a fold must park one stream, and not stop the projector.
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
pub(crate) mod tests;
