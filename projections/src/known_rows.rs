//! Rows that the last batches touched: most events change a row that another one has just changed, and who has
//! written it need not read it.

use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;
use rivet_events::Position;

/// What the documents of one generation may take; more, until they are stored.
const CAPACITY_BYTES: usize = 8 << 20;

/// The documents of one generation as they are at its checkpoint, also that there is none; the least recently used
/// ones leave.
#[derive(Clone)]
pub(crate) struct KnownRows {
    capacity: usize,
    /// Made for the first row: most checkpoints are only looked at.
    rows: Option<LruCache<String, KnownRow>>,
    /// The length of all documents.
    bytes: usize,
}

#[derive(Clone)]
struct KnownRow {
    document: Option<String>,
    /// The end of the last batch that changed it.
    position: Position,
}

impl KnownRow {
    fn bytes(&self) -> usize {
        self.document.as_ref().map_or(0, String::len)
    }
}

/// What is known of a key.
pub(crate) enum Known<'a> {
    /// The document under it.
    Row(&'a str),
    /// That there is none.
    NoRow,
}

impl KnownRows {
    /// Room for so many rows.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { capacity: rows, rows: None, bytes: 0 }
    }

    /// What is stored under the key, where that is known.
    pub(crate) fn get(&mut self, key: &str) -> Option<Known<'_>> {
        let known = self.rows.as_mut()?.get(key)?;
        Some(known.document.as_deref().map_or(Known::NoRow, Known::Row))
    }

    /// What is stored under the key from now on, or will be when the batch is that ends at `position`.
    pub(crate) fn put(&mut self, key: &str, document: Option<&String>, position: Position) {
        if let Some(capacity) = NonZeroUsize::new(self.capacity) {
            let rows = self.rows.get_or_insert_with(|| LruCache::new(capacity));
            let row = KnownRow { document: document.cloned(), position };
            self.bytes += row.bytes();
            if let Some((_, left)) = rows.push(key.to_owned(), row) {
                self.bytes -= left.bytes();
            }
        }
    }

    /// Keeps to what the documents may take, now that all up to `position` is stored: what is not cannot be read again.
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

impl fmt::Debug for KnownRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownRows").field(&self.rows.as_ref().map(LruCache::len)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_leave_when_they_are_stored() {
        let mut known = KnownRows::with_capacity(10);
        let large = "x".repeat(CAPACITY_BYTES / 2);
        for (n, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
            known.put(key, Some(&large), Position(n as u64));
        }
        let keys = |known: &mut KnownRows| ["a", "b", "c", "d"].map(|key| known.get(key).is_some());
        assert_eq!(keys(&mut known), [true; 4]);
        known.stored(Position(0));
        assert_eq!(keys(&mut known), [false, true, true, true]);
        known.put("b", None, Position(4));
        known.stored(Position(3));
        assert_eq!((keys(&mut known), known.bytes), ([false, true, true, true], 2 * large.len()));
    }
}
