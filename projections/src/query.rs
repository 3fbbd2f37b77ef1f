//! Queries of a read model: builds SQL text and arguments that are the same for both databases, and decodes
//! documents.

use std::fmt::Write as _;

use rivet_events::Position;
use rivet_events::log::StoreError;

use crate::page::{Cursor, MAX_PAGE_BYTES};
use crate::projection::Projection;

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database under it did not answer.
    #[error("the read models are unavailable")]
    Unavailable(#[source] StoreError),
    /// A log is in the archive, and cannot be read from there.
    #[error("an archived log cannot be read")]
    Archive(#[source] StoreError),
    /// A row is not one that this build writes: a rebuild is under way, or needed.
    #[error("a row of {projection} cannot be read")]
    Undecodable {
        /// The read model.
        projection: &'static str,
        /// What is wrong with the document.
        #[source]
        source: serde_json::Error,
    },
}

/// A value: an argument of a statement, or a column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Null,
}

impl Value {
    /// The text, if it is one.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Null => None,
        }
    }

    /// The number, if it is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(_) | Self::Null => None,
        }
    }

    /// The number, if it is one that is not negative.
    pub(crate) fn count(&self) -> Option<u64> {
        self.integer().and_then(|number| u64::try_from(number).ok())
    }
}

/// The count of a key, in rows that each are a key and its count; 0 without such a row.
pub(crate) fn count_of(rows: &[Vec<Value>], key: &str) -> u64 {
    let row = rows.iter().find(|row| row.first() == Some(&Value::from(key)));
    row.and_then(|row| row.get(1)).and_then(Value::count).unwrap_or_default()
}

/// The first value of the first row, for a query that selects only one.
pub(crate) fn only(rows: &[Vec<Value>]) -> Option<&Value> {
    rows.first()?.first()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Position> for Value {
    fn from(position: Position) -> Self {
        Self::Integer(position.to_sql())
    }
}

/// The order of a list, by the named column, which holds a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    NewestFirst(&'static str),
    OldestFirst(&'static str),
}

/// A statement under construction. In its text, `{rows}` stands for the read model's table, and `{now}` for
/// the time by the clock of the database, in microseconds since 1970 UTC.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) args: Vec<Value>,
}

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), args: Vec::new() }
    }

    /// Appends `text`.
    pub(crate) fn push(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for `value`.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        write!(self.text, "${}", self.args.len()).expect("invariant: writing to a String succeeds");
        self
    }

    /// Appends `text` and a placeholder, if there is a value.
    pub(crate) fn bind_some(self, text: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.push(text).bind(value),
            None => self,
        }
    }

    /// Appends a list in parentheses, with a placeholder for each value. If it is empty, neither `in` nor `not in` holds.
    pub(crate) fn bind_list(self, values: impl IntoIterator<Item = impl Into<Value>>) -> Self {
        let (mut query, mut begin) = (self, "(");
        for value in values {
            (query, begin) = (query.push(begin).bind(value), ", ");
        }
        query.push(if begin == "(" { "(null)" } else { ")" })
    }

    /// Appends the condition that a row is of this generation of a read model.
    pub(crate) fn of_generation(self, projection: &str, generation: i64) -> Self {
        self.push("projection = ").bind(projection).push(" and generation = ").bind(generation)
    }

    /// Appends the condition that the word in `column` is one of these, if there are any.
    pub(crate) fn and_one_of<'a>(self, column: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = words.into_iter().peekable();
        if words.peek().is_none() {
            return self;
        }
        self.push(&format!(" and {column} in ")).bind_list(words)
    }

    /// A page of a list, for [`ReadModels::page`](crate::read_models::ReadModels::page): the rows that meet one of
    /// several conditions (`ways`). Each condition is a branch of a union, so that it scans its own index and stops
    /// at the limit. All are in one query, so that they see the rows in the same state.
    pub(crate) fn page<W: FnOnce(Self) -> Self>(
        order: Order,
        ways: impl IntoIterator<Item = W>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Self {
        let (time, beyond, direction) = match order {
            Order::NewestFirst(time) => (time, "<", " desc"),
            Order::OldestFirst(time) => (time, ">", ""),
        };
        // One row more than the limit shows whether there is a next page.
        let limit = limit.saturating_add(1);
        let mut query = Self::new("");
        for (n, way) in ways.into_iter().enumerate() {
            query = query.push(if n == 0 { "select * from (" } else { " union select * from (" }).push(
                &format!("select key, {time} as place, octet_length(document) as bytes from {{rows}} where "),
            );
            query = way(query);
            if let Some(Cursor { micros, key }) = after {
                query = query.push(&format!(" and ({time}, key) {beyond} (")).bind(*micros);
                query = query.push(", ").bind(&**key).push(")");
            }
            query = query
                .push(&format!(" order by {time}{direction}, key{direction} limit "))
                .bind_count(limit)
                .push(&format!(") as way_{n}"));
        }
        query.documents(&format!("place{direction}, key{direction}"), &[]).push(" limit ").bind_count(limit)
    }

    /// Selects the documents and keys of the rows whose `key` and `bytes` this query selects, in an order, and further
    /// `columns` that it selects; no document from the first one on that does not fit into [`MAX_PAGE_BYTES`]. A database
    /// knows the length of a document without reading it. So documents are looked up by their keys once their lengths
    /// are known, and never more than a page of them is in memory.
    pub(crate) fn documents(self, order: &str, columns: &[&str]) -> Self {
        let Self { text, args } = self;
        let selected = ["key"].iter().chain(columns).copied().collect::<Vec<_>>().join(", ");
        let text = format!(
            "select (select document from {{rows}} as whole
                     where whole.key = page.key and (page.total <= {MAX_PAGE_BYTES} or page.total = page.bytes)),
                 {selected}
             from (select listed.*, sum(bytes) over (order by {order} rows unbounded preceding) as total
                   from ({text}) as listed) as page
             order by {order}"
        );
        Self { text, args }
    }

    /// The statement for the rows in this table.
    pub(crate) fn of_table(&self, table: &str) -> Self {
        Self { text: self.text.replace("{rows}", table), args: self.args.clone() }
    }

    /// Appends a placeholder for a number of rows.
    pub(crate) fn bind_count(self, count: usize) -> Self {
        self.bind(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// Decodes a document of a read model.
pub(crate) fn decode<P: Projection>(document: &str) -> Result<P::Row, QueryError> {
    serde_json::from_str(document).map_err(|source| QueryError::Undecodable { projection: P::NAME, source })
}
