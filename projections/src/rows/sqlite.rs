//! Rows in SQLite. Documents are text. Many rows travel as one JSON text and are taken apart by `json_each`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _};

use crate::projection::{Changes, Column, ColumnKind, Schema};
use crate::query::Value;

pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains("{now}") {
        Cow::Owned(text.replace("{now}", "cast((julianday('now') - 2440587.5) * 86400000000 as integer)"))
    } else {
        Cow::Borrowed(text)
    }
}

pub(super) fn create_table(table: &str, schema: Schema) -> String {
    let mut columns = String::new();
    for Column { name, kind } in schema.columns {
        let kind = match kind {
            ColumnKind::Text => "text",
            ColumnKind::Integer | ColumnKind::Flag => "integer",
        };
        write!(columns, ",\n    {name} {kind} generated always as (document ->> '{name}') virtual")
            .expect("invariant: writing to a String succeeds");
    }
    format!(
        "create table {table} (\n    key text not null primary key,\n    document text not null{columns}\n)"
    )
}

pub(super) async fn query(
    connection: &mut SqliteConnection,
    text: &str,
    args: &[Value],
) -> sqlx::Result<Vec<Vec<Value>>> {
    let rows = bound(text, args).fetch_all(connection).await?;
    rows.iter().map(|row| (0..row.len()).map(|n| value(row, n)).collect()).collect()
}

pub(super) async fn execute(
    connection: &mut SqliteConnection,
    text: &str,
    args: &[Value],
) -> sqlx::Result<u64> {
    Ok(bound(text, args).execute(connection).await?.rows_affected())
}

fn bound<'q>(text: &'q str, args: &'q [Value]) -> Query<'q, Sqlite, SqliteArguments<'q>> {
    args.iter().fold(sqlx::query(text), |query, arg| match arg {
        Value::Text(text) => query.bind(text.as_str()),
        Value::Integer(number) => query.bind(*number),
        Value::Null => query.bind(None::<String>),
    })
}

fn value(row: &SqliteRow, n: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(n)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let is_integer = raw.type_info().name() == "INTEGER";
    if is_integer {
        row.try_get_unchecked(n).map(Value::Integer)
    } else {
        row.try_get_unchecked(n).map(Value::Text)
    }
}

pub(super) async fn load(
    connection: &mut SqliteConnection,
    table: &str,
    keys: &[String],
) -> sqlx::Result<HashMap<String, String>> {
    let text = format!("select key, document from {table} where key in (select value from json_each($1))");
    let rows: Vec<(String, String)> =
        sqlx::query_as(&text).bind(quoted_array(keys)).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

/// Runs one text of many statements: the thread under the connection is woken once for all of them.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    changed: &[(String, &Changes)],
) -> sqlx::Result<()> {
    let mut text = String::new();
    let mut args = Vec::new();
    for (table, changes) in changed {
        if !changes.upserts.is_empty() {
            args.push(object(&changes.upserts));
            write!(
                text,
                "insert into {table} (key, document) select key, value from json_each(${}) where true
                 on conflict (key) do update set document = excluded.document;",
                args.len()
            )
            .expect("invariant: writing to a String succeeds");
        }
        if !changes.deletes.is_empty() {
            args.push(quoted_array(&changes.deletes));
            write!(text, "delete from {table} where key in (select value from json_each(${}));", args.len())
                .expect("invariant: writing to a String succeeds");
        }
    }
    let query = args.into_iter().fold(sqlx::query(&text), Query::bind);
    query.execute(connection).await?;
    Ok(())
}

fn object(rows: &[(String, String)]) -> String {
    let mut object = String::with_capacity(rows.iter().map(|(key, row)| key.len() + row.len() + 8).sum());
    for (n, (key, document)) in rows.iter().enumerate() {
        object.push(if n == 0 { '{' } else { ',' });
        write!(object, "{}:{document}", quoted(key)).expect("invariant: writing to a String succeeds");
    }
    object.push('}');
    object
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("invariant: a text is JSON")
}

fn quoted_array(keys: &[String]) -> String {
    serde_json::to_string(keys).expect("invariant: texts are JSON")
}
