//! Converts values between JSON (parameters and results) and Lua.

use mlua::{Lua, Result, Table, Value};
use serde_json::{Map, Number};

/// Deepest nesting of a Lua table that is converted: a table may contain itself.
const MAX_DEPTH: usize = 32;

/// The Lua value of a JSON value; null is nil, also as an element of a list, where the others keep their places.
pub(super) fn to_lua(lua: &Lua, value: &serde_json::Value) -> Result<Value> {
    Ok(match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Boolean(*flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(lua.create_string(text)?),
        serde_json::Value::Array(items) => {
            // With room for all of them, `#` is the place of the last element even if there are nils before it.
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in (1_u64..).zip(items) {
                table.raw_set(index, to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
        serde_json::Value::Object(fields) => Value::Table(object_to_lua(lua, fields)?),
    })
}

/// The Lua table of a JSON object.
pub(super) fn object_to_lua(lua: &Lua, fields: &Map<String, serde_json::Value>) -> Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in fields {
        table.raw_set(name.as_str(), to_lua(lua, value)?)?;
    }
    Ok(table)
}

/// The JSON value of a Lua value, or `None` where it has none (functions, NaN, tables nested too deeply).
pub(super) fn to_json(value: &Value) -> Option<serde_json::Value> {
    to_json_within(value, MAX_DEPTH)
}

fn to_json_within(value: &Value, depth: usize) -> Option<serde_json::Value> {
    match value {
        Value::Nil => Some(serde_json::Value::Null),
        Value::Boolean(flag) => Some((*flag).into()),
        Value::Integer(integer) => Some((*integer).into()),
        Value::Number(number) => Number::from_f64(*number).map(serde_json::Value::Number),
        Value::String(text) => Some(text.to_string_lossy().into()),
        Value::Table(table) => table_to_json(table, depth.checked_sub(1)?),
        Value::LightUserData(_)
        | Value::Function(_)
        | Value::Thread(_)
        | Value::UserData(_)
        | Value::Error(_)
        | Value::Other(_) => None,
    }
}

fn table_to_json(table: &Table, depth: usize) -> Option<serde_json::Value> {
    let length = table.raw_len();
    if length > 0 && table.pairs::<Value, Value>().count() == length {
        return table.sequence_values::<Value>().map(|item| to_json_within(&item.ok()?, depth)).collect();
    }
    let field = |pair: Result<(mlua::String, Value)>| {
        let (name, value) = pair.ok()?;
        Some((name.to_string_lossy(), to_json_within(&value, depth)?))
    };
    table.pairs().map(field).collect::<Option<Map<_, _>>>().map(serde_json::Value::Object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_through_lua() {
        let lua = Lua::new();
        for value in [
            json!(null),
            json!(true),
            json!(3),
            json!(2.5),
            json!("ä"),
            json!([1, [2]]),
            json!({"a": {"b": []}}),
        ] {
            let expected =
                if value == json!({"a": {"b": []}}) { json!({"a": {"b": {}}}) } else { value.clone() };
            assert_eq!(to_json(&to_lua(&lua, &value).unwrap()), Some(expected));
        }
    }

    #[test]
    fn what_is_not_utf_8_is_replaced() {
        let lua = Lua::new();
        let text: Value = lua.load(r"return { ['k\255'] = 'a\255b' }").eval().unwrap();
        assert_eq!(to_json(&text), Some(json!({"k\u{fffd}": "a\u{fffd}b"})));
    }

    #[test]
    fn null_in_a_list_shifts_no_other_element() {
        let lua = Lua::new();
        let list = to_lua(&lua, &json!([1, null, 3])).unwrap();
        let places: (i64, Option<i64>, i64, usize) =
            lua.load("local list = ... return list[1], list[2], list[3], #list").call(list).unwrap();
        assert_eq!(places, (1, None, 3, 3));
    }

    #[test]
    fn what_json_cannot_say_is_no_value() {
        let lua = Lua::new();
        let endless: Value = lua.load("local t = {} t.t = t return t").eval().unwrap();
        assert_eq!(to_json(&endless), None);
        assert_eq!(to_json(&lua.load("print").eval().unwrap()), None);
    }
}
