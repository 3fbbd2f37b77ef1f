//! Sizes in memory of what clients send, for the weights of states.

use serde_json::{Map, Value};

pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(|text| size_of::<String>() + text.len()).sum()
}

pub(super) fn of_object(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| size_of::<String>() + key.len() + of_value(value)).sum()
}

/// Size in memory, which is far more than that of the JSON text for values like `[1,2,3]`.
pub(super) fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(of_value).sum(),
        Value::Object(object) => of_object(object),
    };
    size_of::<Value>() + inside
}
