//! Removes generations: those that nobody reads any more, and those that will not be finished.

use rivet_events::log::StoreError;

use super::GOING_ON_MICROS;
use crate::checkpoint::table;
use crate::projection::ALL;
use crate::query::{Query, Value};
use crate::rows::Connection;

/// How long a retired table stays for readers that still use its name, in microseconds.
const RETIRED_TTL_MICROS: i64 = 60_000_000;

/// Removes generations that nobody reads or fills any more: those retired a while ago, and those that a failed
/// process has left unfinished.
pub(crate) async fn remove_abandoned(connection: &mut Connection<'_>) -> Result<(), StoreError> {
    let query = Query::new(
        "select projection, generation, state from checkpoints as candidate where state = 'retired'
         and generation < (select max(generation) from checkpoints where projection = candidate.projection)
         and updated_at < {now} - ",
    )
    .bind(RETIRED_TTL_MICROS)
    .push(" or state = 'rebuilding' and updated_at < {now} - ")
    .bind(GOING_ON_MICROS);
    for row in connection.query(&query).await? {
        let mut row = row.into_iter();
        let name = row.next().and_then(Value::into_text);
        let generation = row.next().and_then(|value| value.integer());
        let is_retired = row.next().and_then(Value::into_text).as_deref() == Some("retired");
        // The name of the table to drop comes from our own list, and not from the row.
        let known = ALL.iter().find(|projection| Some(projection.name()) == name.as_deref());
        let (Some(projection), Some(generation)) = (known, generation) else { continue };
        if is_retired {
            remove(connection, projection.name(), generation).await?;
        } else {
            remove_unfinished(connection, projection.name(), generation).await?;
        }
    }
    Ok(())
}

/// Removes the table of a generation that is still being filled. One that has become live stays. The checkpoint stays
/// too, as a retired one: it keeps the number from being given to another generation, which a process that still fills
/// this one would take for its own.
pub(crate) async fn remove_unfinished(
    connection: &mut Connection<'_>,
    projection: &str,
    generation: i64,
) -> Result<(), StoreError> {
    let query = Query::new(
        "update checkpoints set state = 'retired', updated_at = {now} where state = 'rebuilding' and ",
    )
    .of_generation(projection, generation);
    if connection.execute(&query).await? == 1 {
        connection.drop_table(&table(projection, generation)).await?;
    }
    Ok(())
}

/// Removes a generation with its table.
async fn remove(
    connection: &mut Connection<'_>,
    projection: &str,
    generation: i64,
) -> Result<(), StoreError> {
    for owned in ["parked_streams", "skipped_events", "checkpoints"] {
        let query = Query::new(&format!("delete from {owned} where ")).of_generation(projection, generation);
        connection.execute(&query).await?;
    }
    connection.drop_table(&table(projection, generation)).await
}
