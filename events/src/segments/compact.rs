//! Compacts the streams of runners and groups, which go on for as long as the server does: deletes their old events that
//! no state depends on any more, and counts them.

use sqlx::{PgConnection, SqliteConnection};

use super::purge::COUNT;
use crate::envelope::Position;
use crate::log::StoreError;

/// A heartbeat is superseded by any later event of its runner, and an event of a group by a later one that lists all of
/// its places. The later one stays, so the last event of the log is never deleted.
///
/// The events are told by their types, which no index has, so PostgreSQL looks for them by their positions alone. As a
/// scalar subquery, the later event is looked up for each of them; an `exists` might be joined with the whole log.
macro_rules! delete {
    ($is_kept:literal) => {
        concat!(
            "delete from events as old
             where position > $1 and position <= $2
             and event_type in ('runner.heartbeat_recorded', 'group.place_taken', 'group.place_freed')
             and not ",
            $is_kept,
            " and (
                select new.sequence from events as new
                where new.aggregate_type = old.aggregate_type and new.aggregate_id = old.aggregate_id
                and new.sequence > old.sequence and new.position <= $3
                and (old.event_type = 'runner.heartbeat_recorded'
                     or (new.event_type = 'group.place_taken' and new.payload ->> 'places' is not null))
                limit 1
            ) is not null"
        )
    };
}

const ON_POSTGRES: &str = delete!("aggregate_type || '/' || aggregate_id = any($4)");
const ON_SQLITE: &str = delete!("aggregate_type || '/' || aggregate_id in (select value from json_each($4))");

/// Deletes the superseded events after `after` and up to `until`, as part of a PostgreSQL transaction, except for those of
/// the streams `kept`. What supersedes an event must be at `passed` or before.
pub async fn compact_on_postgres(
    connection: &mut PgConnection,
    (after, until): (Position, Position),
    passed: Position,
    kept: &[String],
) -> Result<(), StoreError> {
    let deleted = sqlx::query(ON_POSTGRES)
        .bind(after.to_sql())
        .bind(until.to_sql())
        .bind(passed.to_sql())
        .bind(kept)
        .execute(&mut *connection)
        .await?;
    let events = i64::try_from(deleted.rows_affected())?;
    sqlx::query(COUNT).bind(0_i64).bind(events).execute(connection).await?;
    Ok(())
}

/// As [`compact_on_postgres`], as part of a SQLite transaction.
pub async fn compact_on_sqlite(
    connection: &mut SqliteConnection,
    (after, until): (Position, Position),
    passed: Position,
    kept: &[String],
) -> Result<(), StoreError> {
    let deleted = sqlx::query(ON_SQLITE)
        .bind(after.to_sql())
        .bind(until.to_sql())
        .bind(passed.to_sql())
        .bind(serde_json::to_string(kept)?)
        .execute(&mut *connection)
        .await?;
    let events = i64::try_from(deleted.rows_affected())?;
    sqlx::query(COUNT).bind(0_i64).bind(events).execute(connection).await?;
    Ok(())
}
