//! Rows in PostgreSQL.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::mem;

use rivet_events::log::StoreError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Arguments as _, Column as _, PgConnection, Postgres, Row as _, TypeInfo as _, ValueRef as _};

use super::advance::{Advance, Parked, TableChanges};
use super::connection::LoadedRow;
use crate::projection::{Column, ColumnKind, Schema};
use crate::query::Value;

pub(super) const BEGIN_SNAPSHOT: &str = "begin isolation level repeatable read read only";
pub(super) const UNDEFINED_TABLE: &str = "42P01";
/// The key of the advisory lock of [`lock_generations`]: "rivetgen" as a number.
const GENERATIONS_LOCK: i64 = 0x7269_7665_7467_656e;

pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains("{now}") {
        Cow::Owned(text.replace("{now}", "(extract(epoch from clock_timestamp()) * 1000000)::bigint"))
    } else {
        Cow::Borrowed(text)
    }
}

pub(super) fn create_table(table: &str, schema: Schema) -> String {
    let declared = |of: &Column| format!(", {}", column(of));
    let columns: String = schema.columns.iter().map(declared).collect();
    format!(r#"create table {table} (key text collate "C" primary key, document text not null{columns})"#)
}

pub(super) fn column(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Text => r#"text collate "C""#,
        ColumnKind::Integer | ColumnKind::Flag => "bigint",
    };
    format!("{} {kind}", column.name)
}

pub(super) async fn columns(connection: &mut PgConnection, table: &str) -> sqlx::Result<Vec<String>> {
    let text = "select attname::text from pg_attribute
         where attrelid = to_regclass($1) and attnum > 0 and not attisdropped";
    sqlx::query_scalar(text).bind(table).fetch_all(connection).await
}

pub(super) async fn lock_generations(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(GENERATIONS_LOCK).execute(connection).await?;
    Ok(())
}

pub(super) async fn wait_briefly(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("set local lock_timeout = '100ms'").execute(connection).await?;
    Ok(())
}

pub(super) async fn query(
    connection: &mut PgConnection,
    text: &str,
    args: &[Value],
) -> sqlx::Result<Vec<Vec<Value>>> {
    let rows = bound(text, args).fetch_all(connection).await?;
    // By `into_iter`, each row is freed once its values are copied.
    rows.into_iter().map(|row| (0..row.len()).map(|n| value(&row, n)).collect()).collect()
}

pub(super) async fn execute(connection: &mut PgConnection, text: &str, args: &[Value]) -> sqlx::Result<u64> {
    Ok(bound(text, args).execute(connection).await?.rows_affected())
}

fn bound<'q>(text: &'q str, args: &'q [Value]) -> Query<'q, Postgres, PgArguments> {
    args.iter().fold(sqlx::query(text), |query, arg| match arg {
        Value::Text(text) => query.bind(without_nul(text)),
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
        _ => row.try_get(n).map(Value::Text),
    }
}

pub(super) async fn load(
    connection: &mut PgConnection,
    table: &str,
    keys: &[String],
    bytes: i64,
) -> sqlx::Result<Vec<LoadedRow>> {
    let rows = format!("from {table} where key = any($1)");
    let text = format!(
        "select key, octet_length(document)::bigint,
             case when (select sum(octet_length(document)) {rows}) <= $2 then document end
         {rows}"
    );
    sqlx::query_as(&text).bind(keys).bind(bytes).fetch_all(connection).await
}

pub(super) async fn delete(connection: &mut PgConnection, table: &str, keys: &[String]) -> sqlx::Result<()> {
    let text = format!("delete from {table} where key = any($1)");
    sqlx::query(&text).bind(keys).execute(connection).await?;
    Ok(())
}

/// The statement that stores a step.
pub(crate) struct Statement {
    text: String,
    args: PgArguments,
    /// The number of checkpoints that it has to move.
    count: usize,
}

pub(super) async fn advance(connection: &mut PgConnection, statement: Statement) -> Result<bool, StoreError> {
    let Statement { text, args, count } = statement;
    let moved: i64 = sqlx::query_scalar_with(&text, args).fetch_one(connection).await?;
    Ok(usize::try_from(moved)? == count)
}

/// Builds one statement, and so one round trip, which advances the checkpoints, all or none, and changes the rows
/// only if it did. All parts of a statement see the database as it was before. So the checkpoints are locked with
/// `for update`: if another process holds them, PostgreSQL evaluates their positions again once it has the locks.
pub(super) fn prepare(advance: Advance<'_>) -> Result<Statement, StoreError> {
    let mut args = PgArguments::default();
    let (from, to) = advance.positions();
    args.add(from)?;
    args.add(to)?;
    let (condition, count) = (advance.condition(), advance.count());
    let mut statement = text(&format!(
        "with held as (
            select projection, generation from checkpoints where position = $1 and {condition}
            order by projection for update
        ), moved as (
            update checkpoints c set position = $2, updated_at = {{now}} from held h
            where c.projection = h.projection and c.generation = h.generation
                and (select count(*) from held) = {count}
            returning 1
        )"
    ))
    .into_owned();
    for changed in advance.tables() {
        let table = &changed.table;
        if !changed.changes.upserts.is_empty() {
            statement += &upsert(&changed, &mut args)?;
        }
        if !changed.changes.deletes.is_empty() {
            args.add(&changed.changes.deletes)?;
            let keys = args.len();
            write!(
                statement,
                ", {table}_deleted as (
                    delete from {table} where key = any(${keys}) and exists (select from moved)
                )"
            )?;
        }
    }
    for (n, parked) in advance.parked().into_iter().enumerate() {
        let Parked { projection, generation, stream, position, error } = parked;
        args.add(stream)?;
        args.add(position)?;
        args.add(without_nul(error))?;
        let (stream, position, error) = (args.len() - 2, args.len() - 1, args.len());
        write!(
            statement,
            ", parked_{n} as (
                insert into parked_streams
                select '{projection}', {generation}, ${stream}, ${position}, ${error}
                where exists (select from moved)
                on conflict do nothing
            )"
        )?;
    }
    statement += " select count(*) from moved";
    Ok(Statement { text: statement, args, count })
}

/// Upserts the rows of a table, which are passed as one array for each column.
fn upsert(changed: &TableChanges<'_>, args: &mut PgArguments) -> Result<String, StoreError> {
    let upserts = &changed.changes.upserts;
    args.add(upserts.iter().map(|upsert| upsert.key.as_str()).collect::<Vec<_>>())?;
    args.add(upserts.iter().map(|upsert| &*upsert.document).collect::<Vec<_>>())?;
    let mut arrays = format!("${}::text[], ${}::text[]", args.len() - 1, args.len());
    let mut rows = changed.columns()?;
    for (n, column) in changed.schema.columns.iter().enumerate() {
        let values = rows.iter_mut().map(|row| mem::replace(&mut row[n], Value::Null));
        let kind = match column.kind {
            ColumnKind::Text => {
                let texts: Vec<Option<String>> = values.map(Value::into_text).collect();
                args.add(texts.iter().map(|text| text.as_deref().map(without_nul)).collect::<Vec<_>>())?;
                "text"
            }
            ColumnKind::Integer | ColumnKind::Flag => {
                args.add(values.map(|value| value.integer()).collect::<Vec<_>>())?;
                "bigint"
            }
        };
        write!(arrays, ", ${}::{kind}[]", args.len())?;
    }
    let table = &changed.table;
    let (names, assignments) = changed.names();
    Ok(format!(
        ", {table}_upserted as (
            insert into {table} ({names}) select * from unnest({arrays}) where exists (select from moved)
            on conflict (key) do update set {assignments}
        )"
    ))
}

/// Replaces NUL, which PostgreSQL does not allow in a text, in a column and in an argument that is compared with it. A
/// document needs none of this: JSON escapes NUL by itself.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
