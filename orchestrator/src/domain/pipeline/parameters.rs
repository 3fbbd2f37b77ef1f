//! Checks the parameters of a launch against the inputs that the pipeline declares.
//!
//! Numbers compare by value (1 equals 1.0). For an input of type number or bool, a string that spells a JSON number,
//! or `true` or `false`, is converted: some clients send every value as a string.

use std::collections::BTreeMap;

use rivet_events::pipeline::InputSpec;
use serde_json::{Map, Number, Value};

/// Why a launch's parameters are refused. Each variant names the input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ParameterError {
    /// A required input has neither a value nor a default.
    #[error("input `{input}` is required")]
    Missing {
        /// Name of the input.
        input: String,
    },
    /// The value is not of the declared type.
    #[error("input `{input}` must be a {expected}, not {value}")]
    WrongType {
        /// Name of the input.
        input: String,
        /// The declared type.
        expected: &'static str,
        /// What was given.
        value: Value,
    },
    /// The value is not among the declared options.
    #[error("input `{input}` must be one of {}, not {value}", Value::from(options.as_slice()))]
    NotAnOption {
        /// Name of the input.
        input: String,
        /// The declared options.
        options: Vec<Value>,
        /// What was given.
        value: Value,
    },
    /// The pipeline declares the input with a type that does not exist.
    #[error("input `{input}` is declared with the unknown type `{kind}`; use `string`, `number` or `bool`")]
    UnknownType {
        /// Name of the input.
        input: String,
        /// The type as declared.
        kind: String,
    },
}

/// The parameters that a job runs with: those `given`, checked, with defaults filled in. Undeclared parameters are
/// kept as they are. Inputs are checked in the order of their names; the first error is returned.
pub(crate) fn check(
    inputs: &BTreeMap<String, InputSpec>,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, ParameterError> {
    for (input, spec) in inputs {
        let kind = Kind::of(input, spec)?;
        let value = given.remove(input).filter(|value| !value.is_null());
        match value.or_else(|| spec.default.clone().filter(|value| !value.is_null())) {
            Some(value) => {
                let value = check_value(input, spec, kind, value)?;
                given.insert(input.clone(), value);
            }
            None if spec.required => return Err(ParameterError::Missing { input: input.clone() }),
            None => {}
        }
    }
    Ok(given)
}

/// Checks that a launch can rely on the defaults. An input of an unknown type is refused by each launch in any case.
pub(crate) fn check_defaults(inputs: &BTreeMap<String, InputSpec>) -> Result<(), ParameterError> {
    for (input, spec) in inputs {
        let default = spec.default.as_ref().filter(|value| !value.is_null());
        if let (Ok(kind), Some(default)) = (Kind::of(input, spec), default) {
            check_value(input, spec, kind, default.clone())?;
        }
    }
    Ok(())
}

fn check_value(input: &str, spec: &InputSpec, kind: Kind, value: Value) -> Result<Value, ParameterError> {
    let value = kind.convert(value);
    if !kind.includes(&value) {
        return Err(ParameterError::WrongType { input: input.to_owned(), expected: kind.name(), value });
    }
    match &spec.options {
        Some(options) if !options.iter().any(|option| same(option, &value)) => {
            Err(ParameterError::NotAnOption { input: input.to_owned(), options: options.clone(), value })
        }
        Some(_) | None => Ok(value),
    }
}

/// A type that an input can be declared with.
#[derive(Clone, Copy)]
enum Kind {
    String,
    Number,
    Bool,
}

impl Kind {
    fn of(input: &str, spec: &InputSpec) -> Result<Self, ParameterError> {
        match spec.kind.as_str() {
            "string" => Ok(Self::String),
            "number" => Ok(Self::Number),
            "bool" => Ok(Self::Bool),
            unknown => Err(ParameterError::UnknownType { input: input.to_owned(), kind: unknown.to_owned() }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Bool => "bool",
        }
    }

    fn includes(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Bool => value.is_boolean(),
        }
    }

    /// Converts a string to the number or bool that it spells, if this is such a type.
    fn convert(self, value: Value) -> Value {
        let spelled = match (self, value.as_str()) {
            (Self::Number, Some(text)) => spelled_number(text).map(Value::Number),
            (Self::Bool, Some(text)) => text.parse().ok().map(Value::Bool),
            (Self::String, _) | (_, None) => None,
        };
        spelled.unwrap_or(value)
    }
}

fn spelled_number(text: &str) -> Option<Number> {
    // The JSON parser skips surrounding white space, which is not part of a number.
    if text.trim() != text {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_number(), b.as_number()) {
        (Some(a), Some(b)) => same_number(a, b),
        _ => a == b,
    }
}

/// Integers compare exactly, other numbers as floats.
fn same_number(a: &Number, b: &Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

#[cfg(test)]
mod tests;
