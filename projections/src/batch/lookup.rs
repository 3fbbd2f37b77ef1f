//! The rows that the events of a batch change, from the cache or from the database, and where a batch ends because
//! they are large: a small event, the end of a job for example, can change a row of many megabytes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use rivet_events::log::StoreError;
use rivet_events::{Envelope, Position};

use crate::checkpoint::Generation;
use crate::folding::{Changes, Touched};
use crate::row_cache::Cached;
use crate::rows::Connection;

/// Most bytes of the rows that a batch changes, as these are before. Beyond it, the rest of the events are left for a
/// next batch; one event may change larger rows.
const ROW_BYTES: usize = 16 << 20;

/// The rows that the events of a batch change in several generations.
pub(super) struct Lookups<'a> {
    /// As many as their rows allow, at least one.
    events: &'a [Arc<Envelope>],
    of_generations: Vec<Lookup<'a>>,
}

/// The events and rows of a batch, for one generation.
struct Lookup<'a> {
    events: Cow<'a, [Arc<Envelope>]>,
    touched: Touched,
    /// Keys of the rows that must be loaded, as they are not cached.
    missing: Vec<String>,
}

impl<'a> Lookups<'a> {
    /// Looks the rows up in the caches.
    pub(super) fn new(generations: &mut [Generation], events: &'a [Arc<Envelope>]) -> Self {
        let mut lookups = Self { events, of_generations: look_up(generations, events) };
        lookups.cut(generations);
        lookups
    }

    /// The events to fold.
    pub(super) fn events(&self) -> &'a [Arc<Envelope>] {
        self.events
    }

    /// Whether there are rows to load.
    pub(super) fn is_incomplete(&self) -> bool {
        self.of_generations.iter().any(|lookup| !lookup.missing.is_empty())
    }

    /// Loads the rows that are not cached.
    pub(super) async fn load(
        &mut self,
        connection: &mut Connection<'_>,
        generations: &mut [Generation],
    ) -> Result<(), StoreError> {
        self.load_within(ROW_BYTES, connection, generations).await?;
        if self.cut(generations) {
            self.load_within(usize::MAX, connection, generations).await?;
        }
        Ok(())
    }

    async fn load_within(
        &mut self,
        bytes: usize,
        connection: &mut Connection<'_>,
        generations: &[Generation],
    ) -> Result<(), StoreError> {
        for (generation, lookup) in generations.iter().zip(&mut self.of_generations) {
            let mut stored = connection.load(&generation.checkpoint.table(), &lookup.missing, bytes).await?;
            if stored.is_empty() {
                continue;
            }
            for row in &mut lookup.touched.rows {
                if let Some(found) = stored.remove(&row.key) {
                    (row.bytes, row.document) = (found.bytes, found.document);
                }
            }
        }
        Ok(())
    }

    /// If the rows are too large together, begins again with fewer events, and returns true.
    fn cut(&mut self, generations: &mut [Generation]) -> bool {
        let rows = self.of_generations.iter().flat_map(|lookup| &lookup.touched.rows);
        if rows.map(|row| row.bytes).sum::<usize>() <= ROW_BYTES {
            return false;
        }
        self.events = &self.events[..self.fitting()];
        self.of_generations = look_up(generations, self.events);
        true
    }

    /// The number of events whose rows are not too large together, at least one.
    fn fitting(&self) -> usize {
        let first_changes = |lookup: &Lookup<'_>| -> Vec<(Position, usize)> {
            let changes = lookup.touched.first_changes();
            changes.map(|(n, row)| (lookup.events[n].position, row.bytes)).collect()
        };
        let mut rows: Vec<_> = self.of_generations.iter().flat_map(first_changes).collect();
        rows.sort_unstable_by_key(|(position, _)| *position);
        let mut total = 0;
        let too_much = rows.into_iter().find(|(_, bytes)| {
            total += bytes;
            total > ROW_BYTES
        });
        let Some((end, _)) = too_much else { return self.events.len() };
        self.events.partition_point(|envelope| envelope.position < end).max(1)
    }

    /// Folds the events into the rows.
    pub(super) fn fold(self, generations: &[Generation]) -> Vec<Changes> {
        let fold = |(generation, lookup): (&Generation, Lookup<'_>)| {
            generation.checkpoint.projection.fold(lookup.touched, &lookup.events)
        };
        generations.iter().zip(self.of_generations).map(fold).collect()
    }
}

fn look_up<'a>(generations: &mut [Generation], events: &'a [Arc<Envelope>]) -> Vec<Lookup<'a>> {
    generations.iter_mut().map(|generation| Lookup::new(generation, events)).collect()
}

impl<'a> Lookup<'a> {
    fn new(generation: &mut Generation, events: &'a [Arc<Envelope>]) -> Self {
        let events = without(events, &generation.skipped);
        let mut touched = generation.checkpoint.projection.touched(&events, &generation.parked);
        let mut missing = Vec::new();
        for row in touched.rows.iter_mut().filter(|row| row.may_be_stored) {
            match generation.row_cache.get(&row.key) {
                Some(Cached::Row(document)) => {
                    row.bytes = document.len();
                    row.document = Some(Arc::clone(document));
                }
                Some(Cached::NoRow) => {}
                None => missing.push(row.key.clone()),
            }
        }
        Self { events, touched, missing }
    }
}

/// The events of a batch without those that operators decided to skip.
fn without<'a>(events: &'a [Arc<Envelope>], skipped: &BTreeSet<Position>) -> Cow<'a, [Arc<Envelope>]> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return events.into() };
    if skipped.range(first.position..=last.position).next().is_none() {
        return events.into();
    }
    events.iter().filter(|envelope| !skipped.contains(&envelope.position)).cloned().collect()
}

#[cfg(test)]
mod tests;
