//! Questions to a read model: one SQL text for both databases, its arguments, and rows that come back as documents.

use std::fmt::Write as _;

use rivet_events::log::StoreError;

use crate::page::Cursor;
use crate::projection::Projection;

/// Why a read model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database under it did not answer.
    #[error("the read models are unavailable")]
    Unavailable(#[source] StoreError),
    /// A log is in the archive, which did not give it.
    #[error("an archived log cannot be read")]
    Archive(#[source] StoreError),
    /// A row is not what this build writes: a rebuild is under way, or needed.
    #[error("a row of {projection} cannot be read")]
    Undecodable {
        /// The read model.
        projection: &'static str,
        /// What is wrong with the document.
        #[source]
        source: serde_json::Error,
    },
}

/// A value on its way into a statement or out of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Null,
}

impl Value {
    /// The text, where it is one.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Null => None,
        }
    }

    /// The number, where it is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(_) | Self::Null => None,
        }
    }

    /// The number, where it is one that counts something.
    pub(crate) fn count(&self) -> Option<u64> {
        self.integer().and_then(|number| u64::try_from(number).ok())
    }
}

/// The value that was asked for alone.
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

/// A statement under construction. In its text, `{rows}` stands for the read model's table.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) args: Vec<Value>,
}

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), args: Vec::new() }
    }

    /// Goes on with `text`.
    pub(crate) fn push(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Goes on with a placeholder for `value`.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        write!(self.text, "${}", self.args.len()).expect("invariant: writing to a String succeeds");
        self
    }

    /// Goes on with `text` and a placeholder, where there is a value.
    pub(crate) fn bind_some(self, text: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.push(text).bind(value),
            None => self,
        }
    }

    /// Goes on, after a condition, with a page of the rows, newest first by the column `time`: those after the cursor,
    /// and one more than `limit`, which tells whether there are more.
    pub(crate) fn newest_first(self, time: &str, after: Option<&Cursor>, limit: usize) -> Self {
        self.page(time, after, limit, "<", " desc")
    }

    /// The same, oldest first.
    pub(crate) fn oldest_first(self, time: &str, after: Option<&Cursor>, limit: usize) -> Self {
        self.page(time, after, limit, ">", "")
    }

    fn page(mut self, time: &str, after: Option<&Cursor>, limit: usize, beyond: &str, order: &str) -> Self {
        if let Some(Cursor { micros, key }) = after {
            self = self
                .push(&format!(" and ({time}, key) {beyond} ("))
                .bind(*micros)
                .push(", ")
                .bind(&**key)
                .push(")");
        }
        self.push(&format!(" order by {time}{order}, key{order} limit ")).bind_count(limit.saturating_add(1))
    }

    /// Goes on with a placeholder for a number of rows.
    pub(crate) fn bind_count(self, count: usize) -> Self {
        self.bind(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// Reads a document of a read model.
pub(crate) fn decode<P: Projection>(document: &str) -> Result<P::Row, QueryError> {
    serde_json::from_str(document).map_err(|source| QueryError::Undecodable { projection: P::NAME, source })
}
