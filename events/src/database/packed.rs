//! Passes texts to a SQLite statement in one blob, beside a JSON argument: inside the JSON, each would have to be
//! escaped and unescaped.

/// Texts one after the other, bound as one blob. The statement takes one out by
/// `cast(substr(blob, start, length) as text)`.
#[derive(Debug, Default)]
pub struct PackedTexts(Vec<u8>);

impl PackedTexts {
    /// Adds a text. Returns its start, counted from 1, and its length, both in bytes.
    pub fn push(&mut self, text: &str) -> (usize, usize) {
        let start = self.0.len() + 1;
        self.0.extend_from_slice(text.as_bytes());
        (start, text.len())
    }

    /// The blob.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
