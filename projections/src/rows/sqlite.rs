//! Rows in SQLite. Many of them travel as one JSON text, which `json_each` takes apart.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use rivet_events::database::PackedTexts;
use rivet_events::log::StoreError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _};

use super::TableChanges;
use crate::projection::{Column, ColumnKind, Schema};
use crate::query::Value;

pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains("{now}") {
        Cow::Owned(text.replace("{now}", "cast((julianday('now') - 2440587.5) * 86400000000 as integer)"))
    } else {
        Cow::Borrowed(text)
    }
}

/// No column is declared to be not null: SQLite would keep, while a statement runs, a copy of each page that it changes,
/// to undo that statement alone if it should fail. Here a failure ends the whole transaction.
pub(super) fn create_table(table: &str, schema: Schema) -> String {
    let column = |column: &Column| {
        let kind = match column.kind {
            ColumnKind::Text => "text",
            ColumnKind::Integer | ColumnKind::Flag => "integer",
        };
        format!(", {} {kind}", column.name)
    };
    let columns: String = schema.columns.iter().map(column).collect();
    format!("create table {table} (key text primary key, document text{columns})")
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
    tables: &[TableChanges<'_>],
) -> Result<(), StoreError> {
    let mut text = String::new();
    let mut args = SqliteArguments::default();
    for changed in tables {
        let table = &changed.table;
        if !changed.changes.upserts.is_empty() {
            let (rows, documents) = packed(changed)?;
            args.add(rows)?;
            args.add(documents)?;
            text += &upsert(changed, args.len() - 1, args.len());
        }
        if !changed.changes.deletes.is_empty() {
            args.add(quoted_array(&changed.changes.deletes))?;
            let keys = args.len();
            write!(text, "delete from {table} where key in (select value from json_each(${keys}));")?;
        }
    }
    sqlx::query_with(&text, args).execute(connection).await?;
    Ok(())
}

/// The documents travel as [`PackedTexts`].
fn upsert(changed: &TableChanges<'_>, rows: usize, documents: usize) -> String {
    let (names, taken) = changed.names();
    let column = |n: usize| format!(", value ->> {}", n + 3);
    let columns: String = (0..changed.schema.columns.len()).map(column).collect();
    format!(
        "insert into {} ({names})
         select value ->> 0, cast(substr(${documents}, value ->> 1, value ->> 2) as text){columns}
         from json_each(${rows}) where true
         on conflict (key) do update set {taken};",
        changed.table
    )
}

/// `[key, start, length, column…]` of each row, and the documents to which start and length refer.
fn packed(changed: &TableChanges<'_>) -> Result<(String, Vec<u8>), serde_json::Error> {
    let mut documents = PackedTexts::default();
    let mut rows = Vec::with_capacity(changed.changes.upserts.len());
    for ((key, document), columns) in changed.changes.upserts.iter().zip(changed.columns()?) {
        let (start, length) = documents.push(document);
        let mut row: Vec<serde_json::Value> = vec![key.as_str().into(), start.into(), length.into()];
        row.extend(columns.into_iter().map(|column| match column {
            Value::Text(text) => text.into(),
            Value::Integer(number) => number.into(),
            Value::Null => serde_json::Value::Null,
        }));
        rows.push(row);
    }
    Ok((serde_json::to_string(&rows)?, documents.into_bytes()))
}

fn quoted_array(keys: &[String]) -> String {
    serde_json::to_string(keys).expect("invariant: texts are JSON")
}
