//! A Lua value with its path in the returned table, so that every error can name the field.
//!
//! All reads are raw: a metatable that the script sets does not affect how its definition is read.

use mlua::{Table, Value};
use serde_json::Number;

use super::error::DefinitionError;

type Result<T> = std::result::Result<T, DefinitionError>;

/// A value that is not nil, with its path, such as `stages[2].script`.
pub(super) struct Node {
    place: String,
    value: Value,
}

impl Node {
    /// The value that the script returned, which must be a table: the root of all paths.
    pub(super) fn root(value: Value) -> Result<Self> {
        let root = Self { place: String::new(), value };
        if root.value.is_table() {
            return Ok(root);
        }
        let problem = format!("must give the definition as a table, not {}", root.found());
        Err(refusal("return".to_owned(), &problem))
    }

    /// The field `name` of a table, unless it is nil.
    pub(super) fn find(&self, name: &str) -> Result<Option<Self>> {
        let value: Value = self.table()?.raw_get(name)?;
        Ok((!value.is_nil()).then(|| Self { place: self.place_of(name), value }))
    }

    /// The field `name` of a table.
    pub(super) fn get(&self, name: &str) -> Result<Self> {
        self.find(name)?.ok_or_else(|| refusal(self.place_of(name), "is missing"))
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>> {
        let table = self.table()?;
        let length = table.raw_len();
        if table.pairs::<Value, Value>().count() != length {
            return Err(self.must("be a list without gaps or named fields"));
        }
        (1..=length)
            .map(|index| Ok(Self { place: format!("{}[{index}]", self.place), value: table.raw_get(index)? }))
            .collect()
    }

    /// The fields of a table by name, in no particular order.
    pub(super) fn entries(&self) -> Result<Vec<(String, Self)>> {
        let mut entries = Vec::new();
        for pair in self.table()?.pairs::<Value, Value>() {
            let (key, value) = pair?;
            let Value::String(name) = key else {
                return Err(self.must("have names as keys, not a list"));
            };
            let name = self.checked_text(&name)?;
            entries.push((name.clone(), Self { place: self.place_of(&name), value }));
        }
        Ok(entries)
    }

    /// A string.
    pub(super) fn text(&self) -> Result<String> {
        let text = self.value.as_string().ok_or_else(|| self.must_be("a string"))?;
        self.checked_text(text)
    }

    /// A string that is not blank; a number is converted as Lua prints it.
    pub(super) fn label(&self) -> Result<String> {
        let label = if self.value.is_integer() || self.value.is_number() {
            self.value.to_string()?
        } else {
            let text = self.value.as_string().ok_or_else(|| self.must_be("a string or a number"))?;
            self.checked_text(text)?
        };
        if label.trim().is_empty() {
            return Err(self.must("not be empty"));
        }
        Ok(label)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool> {
        self.value.as_boolean().ok_or_else(|| self.must_be("a boolean"))
    }

    /// An integer; a float with an integral value counts as one.
    pub(super) fn integer<T: TryFrom<i64>>(&self) -> Result<T> {
        if !self.value.is_integer() && !self.value.is_number() {
            return Err(self.must_be("a number"));
        }
        let integer = self.value.as_integer().or_else(|| whole(self.value.as_number()?));
        let integer = integer.and_then(|integer| T::try_from(integer).ok());
        integer.ok_or_else(|| self.must("be a whole number, not negative and not too large"))
    }

    /// A string, number or boolean as JSON.
    pub(super) fn scalar(&self) -> Result<serde_json::Value> {
        if let Some(text) = self.value.as_string() {
            return Ok(self.checked_text(text)?.into());
        }
        if let Some(boolean) = self.value.as_boolean() {
            return Ok(boolean.into());
        }
        if let Some(integer) = self.value.as_integer() {
            return Ok(integer.into());
        }
        let number = self.value.as_number().ok_or_else(|| self.must_be("a string, a number or a boolean"))?;
        Number::from_f64(number).map(Into::into).ok_or_else(|| self.must("be a finite number"))
    }

    /// Checks that it is a function.
    pub(super) fn function(&self) -> Result<()> {
        if self.value.is_function() { Ok(()) } else { Err(self.must_be("a function")) }
    }

    /// An error about this value: "must …".
    pub(super) fn must(&self, what: &str) -> DefinitionError {
        refusal(self.place.clone(), &format!("must {what}"))
    }

    fn must_be(&self, what: &str) -> DefinitionError {
        self.must(&format!("be {what}, not {}", self.found()))
    }

    fn table(&self) -> Result<&Table> {
        self.value.as_table().ok_or_else(|| self.must_be("a table"))
    }

    fn checked_text(&self, text: &mlua::String) -> Result<String> {
        let text = text.to_str().map_err(|_| self.must("be valid UTF-8"))?;
        if text.contains('\0') {
            return Err(self.must("not contain a NUL character"));
        }
        Ok(text.to_owned())
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    fn found(&self) -> String {
        if self.value.is_nil() {
            "nothing".to_owned()
        } else if self.value.is_integer() {
            "a number".to_owned()
        } else {
            format!("a {}", self.value.type_name())
        }
    }
}

fn refusal(field: String, problem: &str) -> DefinitionError {
    DefinitionError::NotADefinition { field, problem: problem.to_owned() }
}

/// The integer that a float equals, if it is exact.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53, so exact")]
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}
