//! Extracts the fields of a document that are stored as columns beside it, so that the database need not parse the
//! document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::projection::Schema;
use crate::query::Value;

/// The columns of a document, in the order of the schema. A missing field is null.
pub(crate) fn of(schema: Schema, document: &str) -> Result<Vec<Value>, serde_json::Error> {
    if schema.columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns =
        Columns { schema, values: vec![Value::Null; schema.columns.len()], missing: schema.columns.len() };
    let read = columns.deserialize(&mut serde_json::Deserializer::from_str(document));
    // Once all columns are found, the rest of the document is not read, as it may be long. The parser reports that as
    // an error, which only counts if a column is missing.
    if columns.missing > 0 {
        read?;
    }
    Ok(columns.values)
}

struct Columns {
    schema: Schema,
    values: Vec<Value>,
    /// How many columns were not found yet.
    missing: usize,
}

impl<'de> DeserializeSeed<'de> for &mut Columns {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Columns {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while self.missing > 0
            && let Some(Name(name)) = fields.next_key()?
        {
            match self.schema.columns.iter().position(|column| column.name == name) {
                Some(column) => {
                    self.values[column] = fields.next_value::<Field>()?.0;
                    self.missing -= 1;
                }
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Field(Value);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        field.deserialize_any(FieldVisitor).map(Self)
    }
}

struct FieldVisitor;

impl Visitor<'_> for FieldVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true, false or null")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Into::into).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(i64::from(flag).into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::Column;

    const SCHEMA: Schema = Schema {
        columns: &[Column::text("name"), Column::integer("at"), Column::flag("on"), Column::text("none")],
        indexes: &[],
    };

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let document =
            r#"{"on":true,"other":{"name":"inner"},"at":-5,"list":[{"at":1}],"name":"a\"ü\u0000"}"#;
        let expected = vec!["a\"ü\0".into(), (-5_i64).into(), 1_i64.into(), Value::Null];
        assert_eq!(of(SCHEMA, document).unwrap(), expected);
    }

    #[test]
    fn null_is_null() {
        let document = r#"{"name":null,"at":null,"on":null}"#;
        assert_eq!(of(SCHEMA, document).unwrap(), vec![Value::Null; 4]);
    }

    #[test]
    fn what_no_column_holds_is_an_error() {
        for document in [r#"{"name":["a"]}"#, r#"{"at":1.5}"#, r#"{"at":18446744073709551615}"#, "[]"] {
            assert!(of(SCHEMA, document).is_err(), "{document}");
        }
    }
}
