use proptest::prelude::*;
use serde_json::json;

use super::*;

fn spec(kind: &str) -> InputSpec {
    InputSpec { kind: kind.to_owned(), ..InputSpec::default() }
}

fn required(kind: &str) -> InputSpec {
    InputSpec { required: true, ..spec(kind) }
}

fn with_default(kind: &str, default: Value) -> InputSpec {
    InputSpec { default: Some(default), ..spec(kind) }
}

fn with_options(kind: &str, options: &[Value]) -> InputSpec {
    InputSpec { options: Some(options.to_vec()), ..spec(kind) }
}

/// Checks `given` against one input named `x`.
fn check_x(spec: InputSpec, given: Value) -> Result<Value, ParameterError> {
    let Value::Object(given) = given else { panic!("parameters are an object") };
    check(&BTreeMap::from([("x".to_owned(), spec)]), given).map(Value::Object)
}

fn wrong_type(result: Result<Value, ParameterError>) -> bool {
    matches!(result, Err(ParameterError::WrongType { input, .. }) if input == "x")
}

fn not_an_option(result: Result<Value, ParameterError>) -> bool {
    matches!(result, Err(ParameterError::NotAnOption { input, .. }) if input == "x")
}

#[test]
fn a_required_input_must_be_given() {
    let missing = Err(ParameterError::Missing { input: "x".into() });
    assert_eq!(check_x(required("string"), json!({})), missing);
    assert_eq!(check_x(required("string"), json!({"x": null})), missing);
    assert_eq!(check_x(required("string"), json!({"x": ""})), Ok(json!({"x": ""})));
}

#[test]
fn an_optional_input_may_be_absent_and_null_counts_as_absent() {
    assert_eq!(check_x(spec("string"), json!({})), Ok(json!({})));
    assert_eq!(check_x(spec("string"), json!({"x": null})), Ok(json!({})));
}

#[test]
fn a_default_stands_in_for_an_absent_value_and_for_null() {
    let default = || with_default("number", json!(8));
    assert_eq!(check_x(default(), json!({})), Ok(json!({"x": 8})));
    assert_eq!(check_x(default(), json!({"x": null})), Ok(json!({"x": 8})));
    assert_eq!(check_x(default(), json!({"x": 9})), Ok(json!({"x": 9})));
}

#[test]
fn a_default_satisfies_a_required_input() {
    let input = InputSpec { required: true, ..with_default("bool", json!(false)) };
    assert_eq!(check_x(input, json!({})), Ok(json!({"x": false})));
}

#[test]
fn a_default_is_checked_like_a_given_value() {
    assert!(wrong_type(check_x(with_default("number", json!("many")), json!({}))));
    let input = InputSpec { options: Some(vec![json!("a")]), ..with_default("string", json!("b")) };
    assert!(not_an_option(check_x(input, json!({}))));
}

#[test]
fn a_value_must_be_of_the_declared_type() {
    for (kind, value) in [
        ("string", json!(1)),
        ("string", json!(true)),
        ("string", json!(["a"])),
        ("number", json!(true)),
        ("number", json!({"a": 1})),
        ("bool", json!(0)),
        ("bool", json!([])),
    ] {
        assert!(wrong_type(check_x(spec(kind), json!({"x": value}))), "{kind} {value}");
    }
}

#[test]
fn a_text_that_spells_a_number_is_taken_as_one_for_a_number() {
    for (text, number) in [
        ("3", json!(3)),
        ("-4", json!(-4)),
        ("0.5", json!(0.5)),
        ("1e3", json!(1e3)),
        ("18446744073709551615", json!(u64::MAX)),
    ] {
        assert_eq!(check_x(spec("number"), json!({"x": text})), Ok(json!({"x": number})), "{text}");
    }
}

#[test]
fn a_text_that_spells_no_json_number_is_not_one() {
    for text in ["", " 3", "3\n", "03", "+3", ".5", "0x10", "1_000", "NaN", "Infinity", "1e999", "true", "3;"]
    {
        assert!(wrong_type(check_x(spec("number"), json!({"x": text}))), "{text:?}");
    }
}

#[test]
fn a_text_that_spells_true_or_false_is_taken_as_that_for_a_bool() {
    assert_eq!(check_x(spec("bool"), json!({"x": "true"})), Ok(json!({"x": true})));
    assert_eq!(check_x(spec("bool"), json!({"x": "false"})), Ok(json!({"x": false})));
    for text in ["True", "TRUE", "1", "yes", " true", ""] {
        assert!(wrong_type(check_x(spec("bool"), json!({"x": text}))), "{text:?}");
    }
}

#[test]
fn a_text_stays_a_text_for_a_string() {
    for text in ["3", "true", "null", ""] {
        assert_eq!(check_x(spec("string"), json!({"x": text})), Ok(json!({"x": text})), "{text:?}");
    }
}

#[test]
fn a_value_must_be_among_the_options() {
    let input = || with_options("string", &[json!("dev"), json!("live")]);
    assert_eq!(check_x(input(), json!({"x": "live"})), Ok(json!({"x": "live"})));
    assert!(not_an_option(check_x(input(), json!({"x": "Live"}))));
    assert!(not_an_option(check_x(with_options("string", &[]), json!({"x": "a"}))));
    assert_eq!(check_x(input(), json!({})), Ok(json!({})), "absent is not a choice");
}

#[test]
fn numbers_compare_as_numbers_with_the_options() {
    let input = || with_options("number", &[json!(1), json!(2.5), json!(u64::MAX)]);
    for value in [json!(1), json!(1.0), json!("1"), json!("1.0"), json!(2.5), json!("25e-1"), json!(u64::MAX)]
    {
        assert!(check_x(input(), json!({"x": value})).is_ok(), "{value}");
    }
    for value in [json!(2), json!(1.1), json!(-1), json!(u64::MAX - 1)] {
        assert!(not_an_option(check_x(input(), json!({"x": value}))), "{value}");
    }
}

#[test]
fn a_value_is_converted_before_it_is_compared_with_the_options() {
    let input = with_options("bool", &[json!(true)]);
    assert_eq!(check_x(input.clone(), json!({"x": "true"})), Ok(json!({"x": true})));
    assert!(not_an_option(check_x(input, json!({"x": "false"}))));
}

#[test]
fn an_unknown_type_refuses_every_launch() {
    for given in [json!({}), json!({"x": null}), json!({"x": "a"})] {
        let error = check_x(spec("file"), given).unwrap_err();
        assert_eq!(error, ParameterError::UnknownType { input: "x".into(), kind: "file".into() });
    }
}

#[test]
fn undeclared_parameters_are_kept_as_they_are() {
    let given = json!({"x": "1", "other": "1", "null": null, "deep": {"a": [1]}});
    let checked = check_x(spec("number"), given).unwrap();
    assert_eq!(checked, json!({"x": 1, "other": "1", "null": null, "deep": {"a": [1]}}));
}

#[test]
fn every_refusal_names_the_input() {
    let errors = [
        check_x(required("string"), json!({})),
        check_x(spec("bool"), json!({"x": 7})),
        check_x(with_options("number", &[json!(1), json!(2)]), json!({"x": 7})),
        check_x(spec("date"), json!({})),
    ]
    .map(Result::unwrap_err);

    assert_eq!(
        errors.map(|error| error.to_string()),
        [
            "input `x` is required",
            "input `x` must be a bool, not 7",
            "input `x` must be one of [1,2], not 7",
            "input `x` is declared with the unknown type `date`; use `string`, `number` or `bool`",
        ]
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c0-9.]{0,3}|true|false".prop_map(Value::from),
    ]
}

fn any_spec() -> impl Strategy<Value = InputSpec> {
    let kind = prop_oneof![Just("string"), Just("number"), Just("bool")];
    let options = proptest::option::of(proptest::collection::vec(any_value(), 0..4));
    (kind, any::<bool>(), proptest::option::of(any_value()), options)
        .prop_map(|(kind, required, default, options)| InputSpec { required, default, options, ..spec(kind) })
}

proptest! {
    /// What a launch was checked into passes unchanged: a retry launches again with it.
    #[test]
    fn checking_twice_is_checking_once(spec in any_spec(), value in any_value()) {
        if let Ok(once) = check_x(spec.clone(), json!({"x": value, "y": value})) {
            prop_assert_eq!(&once["y"], &value);
            prop_assert_eq!(check_x(spec, once.clone()), Ok(once));
        }
    }
}
