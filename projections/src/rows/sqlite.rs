//! Rows in SQLite. Many of them are passed as one JSON text, which `json_each` takes apart.

use std::borrow::Cow;
use std::fmt::Write as _;

use rivet_events::database::{Durability, PackedTexts, SqliteDatabase};
use rivet_events::log::StoreError;
use serde::ser::{Serialize, SerializeSeq, Serializer};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _};

use super::advance::{Advance, Parked, TableChanges};
use super::connection::LoadedRow;
use crate::projection::{Column, ColumnKind, Schema};
use crate::query::Value;

pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains("{now}") {
        Cow::Owned(text.replace("{now}", "cast((julianday('now') - 2440587.5) * 86400000000 as integer)"))
    } else {
        Cow::Borrowed(text)
    }
}

/// No column is declared `not null`. With such a constraint, SQLite would keep a copy of each page that a statement
/// changes, to be able to undo that statement alone. Here, a failure ends the whole transaction anyway.
pub(super) fn create_table(table: &str, schema: Schema) -> String {
    let declared = |of: &Column| format!(", {}", column(of));
    let columns: String = schema.columns.iter().map(declared).collect();
    format!("create table {table} (key text primary key, document text{columns})")
}

pub(super) fn column(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Text => "text",
        ColumnKind::Integer | ColumnKind::Flag => "integer",
    };
    format!("{} {kind}", column.name)
}

pub(super) async fn columns(connection: &mut SqliteConnection, table: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select name from pragma_table_info($1)").bind(table).fetch_all(connection).await
}

pub(super) async fn query(
    connection: &mut SqliteConnection,
    text: &str,
    args: &[Value],
) -> sqlx::Result<Vec<Vec<Value>>> {
    let rows = bound(text, args).fetch_all(connection).await?;
    // By `into_iter`, each row is freed once its values are copied.
    rows.into_iter().map(|row| (0..row.len()).map(|n| value(&row, n)).collect()).collect()
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
    bytes: i64,
) -> sqlx::Result<Vec<LoadedRow>> {
    let rows = format!("from {table} where key in (select value from json_each($1))");
    let text = format!(
        "select key, octet_length(document),
             case when (select sum(octet_length(document)) {rows}) <= $2 then document end
         {rows}"
    );
    sqlx::query_as(&text).bind(quoted_array(keys)).bind(bytes).fetch_all(connection).await
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

/// The statements that store a step, as one text, so that the thread that drives the connection is woken once for
/// all.
pub(crate) struct Statement {
    text: String,
    args: SqliteArguments<'static>,
}

pub(super) async fn advance(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<bool, StoreError> {
    // `fetch_one` would stop at the statement that returns the row; this runs all of them.
    has_moved(&sqlx::query_with(&statement.text, statement.args).fetch_all(connection).await?)
}

/// As [`advance`], with a transaction of its own in the same text.
pub(super) async fn advance_alone(
    database: &SqliteDatabase,
    statement: Statement,
) -> Result<bool, StoreError> {
    has_moved(&database.transact(Durability::Derived, &statement.text, statement.args).await?)
}

fn has_moved(rows: &[SqliteRow]) -> Result<bool, StoreError> {
    Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?)
}

/// Builds statements that change the rows and advance the checkpoints, if all of these are at the expected position,
/// and select whether they were. Otherwise nothing changes: each statement checks the positions once, and the
/// checkpoints are advanced last.
///
/// Rows come from a subquery with a limit, which SQLite does not merge into the statement around it. Otherwise, it
/// would serialise and parse the JSON of a row again for each of its columns.
pub(super) fn prepare(advance: Advance<'_>) -> Result<Statement, StoreError> {
    let mut args = SqliteArguments::default();
    let (from, to) = advance.positions();
    args.add(from)?;
    args.add(to)?;
    let (condition, count) = (advance.condition(), advance.count());
    let all_in_place =
        format!("{count} = (select count(*) from checkpoints where position = $1 and {condition})");
    let mut text = String::new();
    for changed in advance.tables() {
        let table = &changed.table;
        if !changed.changes.upserts.is_empty() {
            let (rows, documents) = packed(&changed)?;
            args.add(rows)?;
            args.add(documents)?;
            let (names, assignments) = changed.names();
            let column = |n: usize| format!(", row ->> {}", n + 3);
            let columns: String = (0..changed.schema.columns.len()).map(column).collect();
            let (rows, documents) = (args.len() - 1, args.len());
            write!(
                text,
                "insert into {table} ({names})
                 select row ->> 0, cast(substr(${documents}, row ->> 1, row ->> 2) as text){columns}
                 from (select value as row from json_each(${rows}) limit -1) where {all_in_place}
                 on conflict (key) do update set {assignments};"
            )?;
        }
        if !changed.changes.deletes.is_empty() {
            args.add(quoted_array(&changed.changes.deletes))?;
            let keys = args.len();
            write!(
                text,
                "delete from {table} where key in (select value from json_each(${keys})) and {all_in_place};"
            )?;
        }
    }
    for parked in advance.parked() {
        let Parked { projection, generation, stream, position, error } = parked;
        args.add(stream)?;
        args.add(position)?;
        args.add(error.to_owned())?;
        let (stream, position, error) = (args.len() - 2, args.len() - 1, args.len());
        write!(
            text,
            "insert into parked_streams
             select '{projection}', {generation}, ${stream}, ${position}, ${error} where {all_in_place}
             on conflict do nothing;"
        )?;
    }
    text += &self::text(&format!(
        "update checkpoints set position = $2, updated_at = {{now}} where position = $1 and {condition} and {all_in_place};
         select changes() = {count}"
    ));
    Ok(Statement { text, args })
}

/// Each row as `[key, start, length, column…]`, and the packed documents that start and length refer to.
fn packed(changed: &TableChanges<'_>) -> Result<(String, Vec<u8>), serde_json::Error> {
    let mut documents = PackedTexts::default();
    let upserts = changed.changes.upserts.iter().zip(changed.columns()?);
    let rows = upserts.map(|(upsert, columns)| {
        let (start, length) = documents.push(&upsert.document);
        PackedRow { key: &upsert.key, start, length, columns }
    });
    Ok((serde_json::to_string(&rows.collect::<Vec<_>>())?, documents.into_bytes()))
}

struct PackedRow<'a> {
    key: &'a str,
    start: usize,
    length: usize,
    columns: Vec<Value>,
}

impl Serialize for PackedRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_seq(Some(3 + self.columns.len()))?;
        row.serialize_element(self.key)?;
        row.serialize_element(&self.start)?;
        row.serialize_element(&self.length)?;
        for column in &self.columns {
            match column {
                Value::Text(text) => row.serialize_element(text)?,
                Value::Integer(number) => row.serialize_element(number)?,
                Value::Null => row.serialize_element(&())?,
            }
        }
        row.end()
    }
}

fn quoted_array(keys: &[String]) -> String {
    serde_json::to_string(keys).expect("invariant: texts are JSON")
}
