//! A batch of log entries, in the two forms in which clients send it.

use std::fmt;

use chrono::{Datelike, Timelike};
use rivet_events::job_log::LogEntry;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::http::error::ApiError;

/// A batch: `{entries: […]}` (dialect A) or a bare array (dialect B).
#[derive(Debug)]
pub(in crate::http) struct Batch {
    pub(super) entries: Vec<LogEntry>,
    /// The path of the entries in the body, for the text of errors.
    place: &'static str,
}

impl Batch {
    /// Makes sure that everybody can read the times: refuses years of more than four digits, which RFC 3339 does not
    /// have, and takes a leap second for the last moment before it.
    pub(super) fn settle_times(&mut self) -> Result<(), ApiError> {
        let place = self.place;
        for (index, LogEntry { timestamp, .. }) in self.entries.iter_mut().enumerate() {
            if !(0..=9999).contains(&timestamp.year()) {
                return Err(ApiError::refused(
                    "invalid_body",
                    format!("{place}[{index}].timestamp: the year is not one of 0 to 9999 in UTC"),
                ));
            }
            // In a leap second, the nanoseconds go on counting.
            let nanosecond = timestamp.nanosecond().min(999_999_999);
            *timestamp = timestamp.with_nanosecond(nanosecond).unwrap_or(*timestamp);
        }
        Ok(())
    }
}

impl PartialSchema for Batch {
    fn schema() -> RefOr<Schema> {
        let entries = ArrayBuilder::new().items(Ref::from_schema_name(LogEntry::name())).build();
        let example =
            json!([{"timestamp": "2026-01-31T12:00:00Z", "level": "Info", "message": "Hello, world"}]);
        let object = ObjectBuilder::new().property("entries", entries.clone()).required("entries");
        OneOfBuilder::new()
            .description(Some("A bare array of entries, or an object with them."))
            .item(entries)
            .item(object)
            .examples([example])
            .into()
    }
}

impl ToSchema for Batch {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((LogEntry::name().into_owned(), LogEntry::schema()));
        LogEntry::schemas(schemas);
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BatchVisitor;

        impl<'de> Visitor<'de> for BatchVisitor {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of log entries, or an object with `entries`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Batch, A::Error> {
                let mut batch = Vec::with_capacity(entries.size_hint().unwrap_or_default());
                while let Some(entry) = entries.next_element()? {
                    batch.push(entry);
                }
                Ok(Batch { entries: batch, place: "" })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Batch, A::Error> {
                let mut batch = None;
                while let Some(field) = fields.next_key::<String>()? {
                    if field != "entries" {
                        fields.next_value::<IgnoredAny>()?;
                    } else if batch.is_some() {
                        return Err(A::Error::duplicate_field("entries"));
                    } else {
                        batch = Some(fields.next_value()?);
                    }
                }
                let entries = batch.ok_or_else(|| A::Error::missing_field("entries"))?;
                Ok(Batch { entries, place: "entries" })
            }
        }

        deserializer.deserialize_any(BatchVisitor)
    }
}
