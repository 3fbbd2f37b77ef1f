use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Outer {
    inner: Option<Inner>,
    list: Vec<Inner>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Inner {
    number: u8,
    kind: Kind,
}

#[derive(Debug, Deserialize, PartialEq)]
enum Kind {
    Small,
}

fn read<T: DeserializeOwned>(json: &Value) -> Result<T, String> {
    let json = json.to_string();
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    T::deserialize(Strict::new(&mut deserializer)).map_err(|error| error.to_string())
}

fn refused<T: DeserializeOwned + fmt::Debug>(json: &Value, because: &str) {
    let error = read::<T>(json).unwrap_err();
    assert!(error.contains(because), "{json}: {error}");
}

#[test]
fn an_array_is_no_object_at_any_depth() {
    let whole = json!({"inner": {"number": 1, "kind": "Small"}, "list": [{"number": 2, "kind": "Small"}]});
    let inner = |number| Inner { number, kind: Kind::Small };
    assert_eq!(read(&whole), Ok(Outer { inner: Some(inner(1)), list: vec![inner(2)] }));
    let because = "invalid type: sequence, expected an object";
    refused::<Outer>(&json!([null, []]), because);
    refused::<Outer>(&json!({"inner": [1, "Small"], "list": []}), because);
    refused::<Outer>(&json!({"inner": null, "list": [[1, "Small"]]}), because);
}

#[test]
fn a_name_that_serde_json_keeps_for_itself_is_refused_wherever_it_stands() {
    let because = "a member cannot be called \"$serde_json::private::RawValue\"";
    for poison in [
        json!({RAW_VALUE: "1"}),
        json!([{"a": {"a": 1, RAW_VALUE: "1"}}]),
        json!({"inner": {"number": 1, "kind": "Small", RAW_VALUE: 1}}),
    ] {
        refused::<Value>(&poison, because);
    }
    refused::<Outer>(&json!({RAW_VALUE: "{\"list\": []}"}), because);
    let spelled_otherwise = r#"{"a": 1, "\u0024serde_json::private::RawValue": "1"}"#;
    let mut deserializer = serde_json::Deserializer::from_str(spelled_otherwise);
    let error = Value::deserialize(Strict::new(&mut deserializer)).unwrap_err();
    assert!(error.to_string().contains(because), "{error}");
    assert_eq!(
        read(&json!({"a \u{1F680} \"b\"": [1, {"": null}]})),
        Ok(json!({"a \u{1F680} \"b\"": [1, {"": null}]}))
    );
}

#[test]
fn a_raw_value_is_kept_as_it_is() {
    let mut deserializer = serde_json::Deserializer::from_str("{\"raw\": [1,  {}]}");
    let read: HashMap<String, Box<RawValue>> = HashMap::deserialize(Strict::new(&mut deserializer)).unwrap();
    assert_eq!(read["raw"].get(), "[1,  {}]");
}

#[test]
fn what_is_nested_too_deep_is_refused_wherever_it_is_kept() {
    let nested = |depth: u8| {
        (0..depth).fold(json!(1), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"a": inner}) })
    };
    assert_eq!(read(&nested(MAX_DEPTH)), Ok(nested(MAX_DEPTH)));
    refused::<Value>(&nested(MAX_DEPTH + 1), "nested deeper than 64");
    let within = |depth| json!({"list": [], "other": nested(depth)});
    refused::<HashMap<String, Value>>(&within(MAX_DEPTH), "nested deeper than 64");
    assert!(read::<HashMap<String, Value>>(&within(MAX_DEPTH - 1)).is_ok());
}

#[test]
fn a_word_is_a_string() {
    assert_eq!(read(&json!("Small")), Ok(Kind::Small));
    refused::<Kind>(&json!({"Small": null}), "invalid type: map, expected a string");
    refused::<Kind>(&json!("Huge"), "unknown variant `Huge`, expected `Small`");
}

#[test]
fn a_whole_number_may_have_a_point() {
    assert_eq!(read(&json!(5.0)), Ok(5_u8));
    assert_eq!(read(&json!([-5.0, 1e3, 7])), Ok(vec![-5_i32, 1_000, 7]));
    refused::<u8>(&json!(5.5), "expected u8");
    refused::<u8>(&json!(256.0), "expected u8");
    refused::<u8>(&json!(-1.0), "expected u8");
    refused::<u64>(&json!(1e19), "expected u64");
    assert_eq!(read(&json!({"n": 5.0})), Ok(json!({"n": 5.0})));
}
