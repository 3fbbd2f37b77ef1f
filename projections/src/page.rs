//! Pages of a list, bounded in rows and in bytes, and the cursor that a client sends back to get the next page.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Most bytes of the rows of one page, as they are stored; a first row that is larger is a page of its own. A limit
/// of rows alone would not bound a page, since a client or a runner can put any amount into a row.
pub const MAX_PAGE_BYTES: usize = 8 << 20;

/// Points at the last row of a page, by its sort time and its key. As text, `{microseconds}_{key}`, opaque to
/// clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Microseconds since 1970 UTC.
    pub(crate) micros: i64,
    /// The row's key.
    pub(crate) key: String,
}

/// A text that is not a [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor was not made by this server")]
pub struct CursorError;

impl Cursor {
    pub(crate) fn new(time: DateTime<Utc>, key: impl fmt::Display) -> Self {
        Self { micros: time.timestamp_micros(), key: key.to_string() }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.micros, self.key)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (micros, key) = text.split_once('_').ok_or(CursorError)?;
        let micros = micros.parse().map_err(|_| CursorError)?;
        if key.is_empty() || key.contains('\0') {
            return Err(CursorError);
        }
        Ok(Self { micros, key: key.to_owned() })
    }
}

/// A page of a list, and the cursor of the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// The cursor after which the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page out of all rows of a list, which are in memory; newest first.
    pub(crate) fn of_all(
        rows: Vec<T>,
        after: Option<&Cursor>,
        limit: usize,
        cursor: impl Fn(&T) -> Cursor,
    ) -> Self
    where
        T: Serialize,
    {
        let place = |row: &T| {
            let Cursor { micros, key } = cursor(row);
            std::cmp::Reverse((micros, key))
        };
        let begin = after.map(|after| std::cmp::Reverse((after.micros, after.key.clone())));
        let mut rows: Vec<T> =
            rows.into_iter().filter(|row| begin.as_ref().is_none_or(|b| place(row) > *b)).collect();
        rows.sort_by_cached_key(place);
        let (found, mut room) = (rows.len(), Room::default());
        let fitting = rows.iter().take(limit).take_while(|row| room.takes(row)).count();
        rows.truncate(fitting);
        Self::of(rows, found, cursor)
    }

    /// A page of these rows, which are the first ones of `found` rows.
    pub(crate) fn of(rows: Vec<T>, found: usize, cursor: impl Fn(&T) -> Cursor) -> Self {
        let next = if found > rows.len() { rows.last().map(cursor) } else { None };
        Self { items: rows, next }
    }
}

/// The bytes that a page has room for, as its rows are added.
#[derive(Debug, Default)]
pub struct Room {
    taken: usize,
}

impl Room {
    /// Adds a row, and returns whether the page had room for it. The first row always fits, whatever its length.
    pub fn takes(&mut self, row: &impl Serialize) -> bool {
        let is_first = self.taken == 0;
        self.taken += serde_json::to_vec(row).map_or(0, |text| text.len());
        is_first || self.taken <= MAX_PAGE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_from_its_text() {
        let cursor = Cursor { micros: 1_700_000_000_000_000, key: "a_b c".to_owned() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "12", "x_a", "12_", "12_a\0"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }

    #[test]
    fn rows_at_hand_are_paged_as_rows_of_a_table_are() {
        let cursor = |row: &i64| Cursor { micros: *row / 10, key: row.to_string() };
        let page = |after: Option<&Cursor>| Page::of_all(vec![11, 30, 12, 20], after, 2, cursor);
        let first = page(None);
        assert_eq!(first.items, [30, 20]);
        let second = page(first.next.as_ref());
        assert_eq!((second.items, second.next), (vec![12, 11], None));
    }

    #[test]
    fn a_page_ends_before_what_it_has_no_room_for() {
        let cursor = |row: &String| Cursor { micros: row.len().try_into().unwrap(), key: "k".to_owned() };
        let lengths = [MAX_PAGE_BYTES + 7, MAX_PAGE_BYTES / 2 + 1, MAX_PAGE_BYTES / 2, 9];
        let rows: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = Page::of_all(rows.clone(), after.as_ref(), 10, cursor);
            pages.push(page.items.iter().map(String::len).collect::<Vec<_>>());
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, [&lengths[..1], &lengths[1..2], &lengths[2..]]);
    }

    #[test]
    fn the_last_page_has_no_next_one() {
        let cursor = |row: &i64| Cursor { micros: *row, key: "k".to_owned() };
        assert_eq!(Page::of(vec![3, 2], 2, cursor).next, None);
        let page = Page::of(vec![3, 2], 3, cursor);
        assert_eq!((page.items, page.next.map(|c| c.micros)), (vec![3, 2], Some(2)));
    }
}
