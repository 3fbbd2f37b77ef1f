//! Rows in PostgreSQL. Documents are `json`, and not `jsonb`: they come back byte for byte.
//!
//! PostgreSQL takes no NUL in a text that it looks into, not even as the escape `\u0000`, and a generated column
//! makes it look into every document. So a NUL is stored as `\u001a0`, and the U+001A itself as `\u001a1`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Arguments as _, Column as _, PgConnection, Postgres, Row as _, TypeInfo as _, ValueRef as _};

use crate::projection::{Changes, ColumnKind, Schema};
use crate::query::Value;

/// The commit returns before it is on disk: rows and checkpoint may be lost together, and follow from the log.
pub(super) const BEGIN_DERIVED: &str = "begin; set local synchronous_commit = off";
pub(super) const BEGIN_SNAPSHOT: &str = "begin isolation level repeatable read read only";
pub(super) const UNDEFINED_TABLE: &str = "42P01";
/// Names the advisory lock of [`lock_generations`]: "rivetgen" as a number.
const GENERATIONS_LOCK: i64 = 0x7269_7665_7467_656e;

pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains("{now}") {
        Cow::Owned(text.replace("{now}", "(extract(epoch from clock_timestamp()) * 1000000)::bigint"))
    } else {
        Cow::Borrowed(text)
    }
}

pub(super) fn create_table(table: &str, schema: Schema) -> String {
    let mut columns = String::new();
    for column in schema.columns {
        let name = column.name;
        let (kind, value) = match column.kind {
            ColumnKind::Text => (r#"text collate "C""#, format!("document ->> '{name}'")),
            ColumnKind::Integer => ("bigint", format!("(document ->> '{name}')::bigint")),
            ColumnKind::Flag => {
                ("integer", format!("case document ->> '{name}' when 'true' then 1 when 'false' then 0 end"))
            }
        };
        write!(columns, ",\n    {name} {kind} generated always as ({value}) stored")
            .expect("invariant: writing to a String succeeds");
    }
    format!(
        "create table {table} (\n    key text collate \"C\" primary key,\n    document json not null{columns}\n)"
    )
}

pub(super) async fn lock_generations(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(GENERATIONS_LOCK).execute(connection).await?;
    Ok(())
}

pub(super) async fn query(
    connection: &mut PgConnection,
    text: &str,
    args: &[Value],
) -> sqlx::Result<Vec<Vec<Value>>> {
    let rows = bound(text, args).fetch_all(connection).await?;
    rows.iter().map(|row| (0..row.len()).map(|n| value(row, n)).collect()).collect()
}

pub(super) async fn execute(connection: &mut PgConnection, text: &str, args: &[Value]) -> sqlx::Result<u64> {
    Ok(bound(text, args).execute(connection).await?.rows_affected())
}

fn bound<'q>(text: &'q str, args: &'q [Value]) -> Query<'q, Postgres, PgArguments> {
    args.iter().fold(sqlx::query(text), |query, arg| match arg {
        Value::Text(text) => query.bind(text.as_str()),
        Value::Integer(number) => query.bind(*number),
        Value::Null => query.bind(None::<String>),
    })
}

fn value(row: &PgRow, n: usize) -> sqlx::Result<Value> {
    if row.try_get_raw(n)?.is_null() {
        return Ok(Value::Null);
    }
    match row.column(n).type_info().name() {
        "INT8" => row.try_get(n).map(Value::Integer),
        "INT4" => row.try_get::<i32, _>(n).map(|number| Value::Integer(number.into())),
        "JSON" => row.try_get_unchecked::<String, _>(n).map(|json| Value::Text(with_nul(json))),
        _ => row.try_get(n).map(Value::Text),
    }
}

pub(super) async fn load(
    connection: &mut PgConnection,
    table: &str,
    keys: &[String],
) -> sqlx::Result<HashMap<String, String>> {
    let text = format!("select key, document::text from {table} where key = any($1)");
    let rows: Vec<(String, String)> = sqlx::query_as(&text).bind(keys).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(key, document)| (key, with_nul(document))).collect())
}

/// Runs one statement for all tables: one round trip, however many there are.
pub(super) async fn save(connection: &mut PgConnection, changed: &[(String, &Changes)]) -> sqlx::Result<()> {
    let mut parts = Vec::new();
    let mut args = PgArguments::default();
    let mut bind = |values: Vec<&str>| -> sqlx::Result<usize> {
        args.add(values).map_err(sqlx::Error::Encode)?;
        Ok(args.len())
    };
    for (table, changes) in changed {
        if !changes.upserts.is_empty() {
            let (keys, documents): (Vec<&str>, Vec<_>) =
                changes.upserts.iter().map(|(key, row)| (key.as_str(), without_nul(row))).unzip();
            let (keys, documents) = (bind(keys)?, bind(documents.iter().map(AsRef::as_ref).collect())?);
            parts.push(format!(
                "{table}_upserted as (
                    insert into {table} (key, document)
                    select key, document::json from unnest(${keys}::text[], ${documents}::text[]) as changed(key, document)
                    on conflict (key) do update set document = excluded.document
                )"
            ));
        }
        if !changes.deletes.is_empty() {
            let keys = bind(changes.deletes.iter().map(String::as_str).collect())?;
            parts.push(format!("{table}_deleted as (delete from {table} where key = any(${keys}::text[]))"));
        }
    }
    let text = format!("with {} select", parts.join(",\n"));
    sqlx::query_with(&text, args).execute(connection).await?;
    Ok(())
}

const NUL: &str = r"\u0000";
const SUBSTITUTE: &str = r"\u001a";

/// A document as stored.
fn without_nul(document: &str) -> Cow<'_, str> {
    if document.contains(NUL) || document.contains(SUBSTITUTE) {
        Cow::Owned(map_escapes(document, |rest| {
            if rest.starts_with(NUL) {
                Some((NUL.len(), r"\u001a0"))
            } else if rest.starts_with(SUBSTITUTE) {
                Some((SUBSTITUTE.len(), r"\u001a1"))
            } else {
                None
            }
        }))
    } else {
        Cow::Borrowed(document)
    }
}

/// A document as it was before it was stored.
fn with_nul(document: String) -> String {
    if !document.contains(SUBSTITUTE) {
        return document;
    }
    map_escapes(&document, |rest| {
        if rest.starts_with(r"\u001a0") {
            Some((SUBSTITUTE.len() + 1, NUL))
        } else if rest.starts_with(r"\u001a1") {
            Some((SUBSTITUTE.len() + 1, SUBSTITUTE))
        } else {
            None
        }
    })
}

/// The JSON text with some of its escapes replaced. `replace` gets the text from a backslash on that begins an
/// escape, and says how much of it gives way to what.
fn map_escapes(json: &str, replace: impl Fn(&str) -> Option<(usize, &'static str)>) -> String {
    let mut mapped = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(backslash) = rest.find('\\') {
        let (plain, escape) = rest.split_at(backslash);
        mapped.push_str(plain);
        let taken = if let Some((taken, replacement)) = replace(escape) {
            mapped.push_str(replacement);
            taken
        } else {
            // A backslash and what it escapes, which may be a backslash too.
            let taken = escape.char_indices().nth(2).map_or(escape.len(), |(at, _)| at);
            mapped.push_str(&escape[..taken]);
            taken
        };
        rest = &escape[taken..];
    }
    mapped.push_str(rest);
    mapped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_with_nul_is_stored_without_and_comes_back_whole() {
        for text in ["a\0b", "\0\0", "\u{1a}0", "\u{1a}", "\\u0000", "\\\0", "\\\\u0000\0", "ü\0"] {
            let document = json!({"text": text}).to_string();
            let stored = without_nul(&document);
            let value: serde_json::Value = serde_json::from_str(&stored).unwrap();
            assert!(!value["text"].as_str().unwrap().contains('\0'), "{stored}");
            assert_eq!(with_nul(stored.into_owned()), document);
        }
    }
}
