//! A cache of the rows that the last batches touched. Most events change a row that another event has just changed,
//! and the process that wrote it need not load it again.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use rivet_events::Position;

/// Capacity in bytes of documents. It is only exceeded by rows that are not stored yet.
const CAPACITY_BYTES: usize = 8 << 20;

/// An LRU cache of the documents of one generation, as they are at its checkpoint. It also caches that a key has no
/// row.
#[derive(Clone)]
pub(crate) struct RowCache {
    /// Most rows that it holds.
    capacity: usize,
    /// Created with the first row, since most checkpoints are only read.
    rows: Option<LruCache<String, Row>>,
    /// Total length of all documents.
    bytes: usize,
}

/// A row as the projector keeps it in memory.
#[derive(Clone)]
pub(crate) struct Row {
    /// `None` if there is no row.
    pub(crate) document: Option<Arc<str>>,
    /// The end of the last batch that changed it.
    pub(crate) position: Position,
}

impl Row {
    /// The length of its document.
    pub(crate) fn bytes(&self) -> usize {
        self.document.as_ref().map_or(0, |document| document.len())
    }
}

/// What is cached for a key.
pub(crate) enum Cached<'a> {
    /// The document of its row.
    Row(&'a Arc<str>),
    /// That it has no row.
    NoRow,
}

impl RowCache {
    /// An empty cache for up to `rows` rows.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { capacity: rows, rows: None, bytes: 0 }
    }

    /// What is cached for the key; `None` if it is not cached.
    pub(crate) fn get(&mut self, key: &str) -> Option<Cached<'_>> {
        let cached = self.rows.as_mut()?.get(key)?;
        Some(cached.document.as_ref().map_or(Cached::NoRow, Cached::Row))
    }

    /// Caches a document, or that there is none. It may not be stored yet: it will be with the batch that ends at
    /// `position`.
    pub(crate) fn put(&mut self, key: &str, document: Option<&Arc<str>>, position: Position) {
        if let Some(capacity) = NonZeroUsize::new(self.capacity) {
            let rows = self.rows.get_or_insert_with(|| LruCache::new(capacity));
            let row = Row { document: document.cloned(), position };
            self.bytes += row.bytes();
            if let Some((_, left)) = rows.push(key.to_owned(), row) {
                self.bytes -= left.bytes();
            }
        }
    }

    /// Evicts rows beyond the capacity in bytes, now that all changes up to `position` are stored. A row that is not
    /// stored yet stays, since it could not be loaded again.
    pub(crate) fn stored(&mut self, position: Position) {
        let Some(rows) = &mut self.rows else { return };
        while self.bytes > CAPACITY_BYTES
            && rows.peek_lru().is_some_and(|(_, row)| row.position <= position)
            && let Some((_, left)) = rows.pop_lru()
        {
            self.bytes -= left.bytes();
        }
    }
}

impl fmt::Debug for RowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RowCache").field(&self.rows.as_ref().map(LruCache::len)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_leave_when_they_are_stored() {
        let mut cache = RowCache::with_capacity(10);
        let large = Arc::from("x".repeat(CAPACITY_BYTES / 2));
        for (n, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
            cache.put(key, Some(&large), Position(n as u64));
        }
        let keys = |cache: &mut RowCache| ["a", "b", "c", "d"].map(|key| cache.get(key).is_some());
        assert_eq!(keys(&mut cache), [true; 4]);
        cache.stored(Position(0));
        assert_eq!(keys(&mut cache), [false, true, true, true]);
        cache.put("b", None, Position(4));
        cache.stored(Position(3));
        assert_eq!((keys(&mut cache), cache.bytes), ([false, true, true, true], 2 * large.len()));
    }
}
