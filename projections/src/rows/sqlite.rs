//! Rows in SQLite. Documents are text. Many rows travel as one JSON text and are taken apart by `json_each`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use rivet_events::database::{SqliteDatabase, SqliteWriter};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow, SqliteTransactionManager};
use sqlx::{Row as _, Sqlite, SqliteConnection, TransactionManager as _, TypeInfo as _, ValueRef as _};
use tokio::sync::MutexGuard;

use crate::projection::{Column, ColumnKind, Schema};
use crate::query::Value;

/// A transaction on the connection that writes what can be derived.
pub(crate) struct SqliteTransaction<'a> {
    writer: MutexGuard<'a, SqliteWriter>,
    open: bool,
}

impl<'a> SqliteTransaction<'a> {
    pub(super) async fn begin(database: &'a SqliteDatabase) -> sqlx::Result<Self> {
        // Open from here on: whoever stops waiting for the begin gives the connection up.
        let mut transaction = Self { writer: database.write().await, open: true };
        let connection = transaction.writer.derived().await?;
        SqliteTransactionManager::begin(connection, Some("begin immediate".into())).await?;
        Ok(transaction)
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        self.writer.connection()
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        SqliteTransactionManager::commit(self.writer.connection()).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // Its end rolls back, whatever state it is in.
            self.writer.abandon();
        }
    }
}

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

pub(super) async fn upsert(
    connection: &mut SqliteConnection,
    table: &str,
    rows: &[(String, String)],
) -> sqlx::Result<()> {
    let mut object = String::with_capacity(rows.iter().map(|(key, row)| key.len() + row.len() + 8).sum());
    for (n, (key, document)) in rows.iter().enumerate() {
        object.push(if n == 0 { '{' } else { ',' });
        write!(object, "{}:{document}", quoted(key)).expect("invariant: writing to a String succeeds");
    }
    object.push('}');
    let text = format!(
        "insert into {table} (key, document) select key, value from json_each($1) where true
         on conflict (key) do update set document = excluded.document"
    );
    sqlx::query(&text).bind(object).execute(connection).await?;
    Ok(())
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    table: &str,
    keys: &[String],
) -> sqlx::Result<()> {
    let text = format!("delete from {table} where key in (select value from json_each($1))");
    sqlx::query(&text).bind(quoted_array(keys)).execute(connection).await?;
    Ok(())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("invariant: a text is JSON")
}

fn quoted_array(keys: &[String]) -> String {
    serde_json::to_string(keys).expect("invariant: texts are JSON")
}
