//! Questions to a read model: one SQL text for both databases, its arguments, and rows that come back as documents.

use std::fmt::Write as _;

use rivet_events::log::StoreError;

use crate::projection::Projection;

/// Why a read model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database under it did not answer.
    #[error("the read models are unavailable")]
    Unavailable(#[source] StoreError),
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

    /// Goes on with a placeholder for a number of rows.
    pub(crate) fn bind_count(self, count: usize) -> Self {
        self.bind(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// Reads a document of a read model.
pub(crate) fn decode<P: Projection>(document: &str) -> Result<P::Row, QueryError> {
    serde_json::from_str(document).map_err(|source| QueryError::Undecodable { projection: P::NAME, source })
}
