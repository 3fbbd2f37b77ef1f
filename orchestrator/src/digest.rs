//! Short digests, by which repeated requests are recognised.

use serde::Serialize;
use uuid::Uuid;

/// The digest of a text: a UUIDv5, in hexadecimal.
pub(crate) fn of_text(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()
}

/// The digest of a value's JSON. Members are serialised in a fixed order (of a struct as declared, of a map by name),
/// so equal JSON has an equal digest. It tells a repeated request from another one of the same client; it does not
/// protect against a client that searches for collisions.
pub(crate) fn of_json(value: &impl Serialize) -> String {
    of_text(&serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of_json;

    #[test]
    fn equal_json_has_an_equal_digest() {
        assert_eq!(of_json(&json!({"a": 1, "b": [2]})), of_json(&json!({"b": [2], "a": 1})));
        assert_ne!(of_json(&json!({"a": 1})), of_json(&json!({"a": 2})));
    }
}
