//! Rows that the last batches touched: most events change a row that another one has just changed, and who has
//! written it need not read it.

use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;

/// The documents of one generation as they are at its checkpoint, also that there is none; the least recently used
/// ones leave.
#[derive(Clone)]
pub(crate) struct KnownRows {
    capacity: usize,
    /// Made for the first row: most checkpoints are only looked at.
    rows: Option<LruCache<String, Option<String>>>,
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
        Self { capacity: rows, rows: None }
    }

    /// What is stored under the key, where that is known.
    pub(crate) fn get(&mut self, key: &str) -> Option<Known<'_>> {
        let known = self.rows.as_mut()?.get(key)?;
        Some(known.as_deref().map_or(Known::NoRow, Known::Row))
    }

    /// What is stored under the key from now on.
    pub(crate) fn put(&mut self, key: &str, document: Option<&String>) {
        if let Some(capacity) = NonZeroUsize::new(self.capacity) {
            let rows = self.rows.get_or_insert_with(|| LruCache::new(capacity));
            rows.put(key.to_owned(), document.cloned());
        }
    }
}

impl fmt::Debug for KnownRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownRows").field(&self.rows.as_ref().map(LruCache::len)).finish()
    }
}
