//! Short digests by which repeated requests are recognised.

use serde::Serialize;
use uuid::Uuid;

/// The digest of a text.
pub(crate) fn of_text(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()
}

/// The digest of a value's JSON. Its members are in one order, those of a struct as declared and those of a map by
/// their names: equal JSON, equal digest. It tells a client's repeated request from another of the same client; it is no
/// defence against one that looks for collisions.
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
