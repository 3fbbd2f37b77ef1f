//! Replaces the NUL characters in what runners send, since not every database can store them. Refusing them would lose
//! the output of a command, or the end of its job: older runners send neither again.

use std::mem::take;

use serde_json::Value;

/// Replaces them in a text.
pub(super) fn replace_in_text(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

/// Replaces them in every text within a value, and in the names of its members.
pub(super) fn replace_in(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => replace_in_text(text),
        Value::Array(items) => items.iter_mut().for_each(replace_in),
        Value::Object(members) => {
            members.values_mut().for_each(replace_in);
            if members.keys().any(|name| name.contains('\0')) {
                let replaced = take(members).into_iter().map(|(mut name, value)| {
                    replace_in_text(&mut name);
                    (name, value)
                });
                *members = replaced.collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_replaced_wherever_it_stands() {
        let mut value = json!({"a\0": ["\0", {"b": "c\0d"}, 1, null], "plain": "text"});
        replace_in(&mut value);
        let expected = json!({"a\u{fffd}": ["\u{fffd}", {"b": "c\u{fffd}d"}, 1, null], "plain": "text"});
        assert_eq!(value, expected);
    }
}
