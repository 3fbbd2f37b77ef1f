//! The life of generations: creates the first one of each read model and those that rebuilds fill, adopts those of other
//! builds, and switches to a filled one.

pub(crate) mod removal;

use std::collections::BTreeSet;
use std::iter;

use rivet_events::Position;
use rivet_events::log::StoreError;

use crate::checkpoint::{self, Checkpoint, Generation, State};
use crate::lease;
use crate::projection::{ALL, AnyProjection};
use crate::query::{self, Query, Value};
use crate::rows::{Connection, Store, create_indexes};

/// The version of rows that the fold of no single build has made from the whole log. Nobody waits for them.
pub(crate) const NO_VERSION: u32 = 0;

/// How long ago a generation may last have been shown to be needed, for its rebuild to count as going on, in
/// microseconds. That is shown every ten seconds; an outage of the database may be in between.
const GOING_ON_MICROS: i64 = 120_000_000;

const CHECKPOINTS: &str = "create table if not exists checkpoints (
    projection text    not null,
    generation bigint  not null,
    version    bigint  not null,
    state      text    not null check (state in ('rebuilding', 'live', 'retired')),
    position   bigint  not null,
    updated_at bigint  not null,
    primary key (projection, generation)
)";
const ONE_LIVE: &str =
    "create unique index if not exists checkpoints_live on checkpoints (projection) where state = 'live'";
const PARKED_STREAMS: &str = "create table if not exists parked_streams (
    projection text   not null,
    generation bigint not null,
    stream     text   not null,
    position   bigint not null,
    error      text   not null,
    primary key (projection, generation, stream)
)";

const SKIPPED_EVENTS: &str = "create table if not exists skipped_events (
    projection text   not null,
    generation bigint not null,
    position   bigint not null,
    primary key (projection, generation, position)
)";

/// Creates what is missing: the tables of this module, and for each read model a first generation, which is live at
/// the start of the log.
pub(crate) async fn prepare(connection: &mut Connection<'_>) -> Result<(), StoreError> {
    connection.lock_generations().await?;
    for statement in [CHECKPOINTS, ONE_LIVE, PARKED_STREAMS, SKIPPED_EVENTS] {
        connection.execute(&Query::new(statement)).await?;
    }
    lease::prepare(connection).await?;
    let present = checkpoint::load(connection).await?;
    for projection in ALL {
        let is_live = |c: &Checkpoint| c.state == State::Live && c.projection.name() == projection.name();
        if !present.iter().any(is_live) {
            // A read model that is new to a store with a history begins where the others are, marked with no version.
            // So it is rebuilt, and meanwhile nobody waits for it to read the whole history.
            let live = present.iter().filter(|c| c.state == State::Live);
            let position = live.map(|c| c.position).min().unwrap_or_default();
            let version = if position == Position(0) { projection.version() } else { NO_VERSION };
            let created = insert(connection, *projection, State::Live, version, position).await?;
            for statement in create_indexes(&created.table(), projection.schema()) {
                connection.execute(&Query::new(&statement)).await?;
            }
        }
    }
    Ok(())
}

/// Takes over the live generations of another build, for the leading process. From now on the fold of this
/// build changes their rows, which then no version describes: they are outdated until they are rebuilt, also to the
/// build that made them. Until then they get the columns that they lack. What a read model that this build does not
/// know has missed, it can only get by a rebuild too.
pub(crate) async fn adopt(store: &Store) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    let mut connection = transaction.connection();
    let live = complete(&mut connection).await?;
    let own = live.iter().filter(|live| !live.is_foreign()).map(|own| own.projection.name());
    let foreign = Query::new(&format!(
        "update checkpoints set version = {NO_VERSION}
         where state = 'live' and version <> {NO_VERSION} and projection not in "
    ));
    // The empty name keeps the list from being empty: then `not in` would not hold for the others.
    connection.execute(&foreign.bind_list(iter::once("").chain(own))).await?;
    transaction.commit().await
}

/// Adds the columns that the live generations of other builds lack. Queries of this build name these columns, also in a
/// process that does not lead. Other builds are not affected: whatever they select or insert, they name the columns.
pub(crate) async fn add_columns(store: &Store) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    let mut connection = transaction.connection();
    connection.wait_briefly().await?;
    complete(&mut connection).await?;
    transaction.commit().await
}

/// As [`add_columns`], in the caller's transaction. Returns the live generations.
async fn complete(connection: &mut Connection<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    connection.lock_generations().await?;
    connection.wait_briefly().await?;
    let mut live = checkpoint::load(connection).await?;
    live.retain(|checkpoint| checkpoint.state == State::Live);
    for foreign in live.iter().filter(|live| live.is_foreign()) {
        connection.add_columns(&foreign.table(), foreign.projection.schema()).await?;
    }
    Ok(live)
}

/// Creates a generation for a rebuild, with an empty table, at the start of the log. It leaves out the `skipped`
/// events.
pub(crate) async fn create(
    connection: &mut Connection<'_>,
    projection: &'static dyn AnyProjection,
    skipped: BTreeSet<Position>,
) -> Result<Generation, StoreError> {
    let created =
        insert(connection, projection, State::Rebuilding, projection.version(), Position(0)).await?;
    for position in &skipped {
        let query = Query::new("insert into skipped_events (projection, generation, position) values (")
            .bind(projection.name())
            .push(", ")
            .bind(created.generation)
            .push(", ")
            .bind(*position)
            .push(")");
        connection.execute(&query).await?;
    }
    Ok(Generation { skipped, ..Generation::new(created) })
}

async fn insert(
    connection: &mut Connection<'_>,
    projection: &'static dyn AnyProjection,
    state: State,
    version: u32,
    position: Position,
) -> Result<Checkpoint, StoreError> {
    let query = Query::new("insert into checkpoints select ")
        .bind(projection.name())
        .push(", coalesce(max(generation), 0) + 1, ")
        .bind(i64::from(version))
        .push(", ")
        .bind(state.as_str())
        .push(", ")
        .bind(position)
        .push(", {now} from checkpoints where projection = ")
        .bind(projection.name())
        .push(" returning generation");
    let rows = connection.query(&query).await?;
    let generation = query::only(&rows).and_then(Value::integer).unwrap_or_default();
    let created = Checkpoint { projection, generation, version, state, position };
    connection.create_table(&created.table(), projection.schema()).await?;
    Ok(created)
}

/// Marks the live generations that have parked one of these streams, and those of the read models `skipping`, as in need
/// of a rebuild. Returns the names of their read models.
pub(crate) async fn outdate(
    connection: &mut Connection<'_>,
    streams: &[String],
    skipping: impl Iterator<Item = &str>,
) -> Result<Vec<&'static str>, StoreError> {
    let query = Query::new(
        "select projection from checkpoints where state = 'live' and (exists (
             select 1 from parked_streams as parked
             where parked.projection = checkpoints.projection and parked.generation = checkpoints.generation
             and stream in ",
    )
    .bind_list(streams.iter().map(String::as_str))
    .push(") or projection in ")
    .bind_list(skipping)
    .push(") order by projection");
    let rows = connection.query(&query).await?;
    let outdated: Vec<String> =
        rows.into_iter().filter_map(|row| row.into_iter().next()?.into_text()).collect();
    // One by one: several checkpoints are only locked in order, as the projector does.
    for projection in &outdated {
        let query = Query::new(&format!(
            "update checkpoints set version = {NO_VERSION} where state = 'live' and projection = "
        ));
        connection.execute(&query.bind(&**projection)).await?;
    }
    let is_outdated = |name: &&str| outdated.iter().any(|outdated| outdated == name);
    Ok(ALL.iter().map(|projection| projection.name()).filter(is_outdated).collect())
}

/// Makes a rebuilt generation the live one. False if it no longer exists, or if one that was begun later, or that a
/// newer build has made, is live: readers never go back to an older generation, and a build takes none from a newer one
/// unless it has adopted it.
pub(crate) async fn switch(
    connection: &mut Connection<'_>,
    rebuilt: &Checkpoint,
) -> Result<bool, StoreError> {
    let name = rebuilt.projection.name();
    let retire = Query::new(
        "update checkpoints set state = 'retired', updated_at = {now} where state = 'live' and projection = ",
    )
    .bind(name)
    .push(" and generation < ")
    .bind(rebuilt.generation)
    .push(" and version <= ")
    .bind(i64::from(rebuilt.version));
    if connection.execute(&retire).await? == 0 {
        return Ok(false);
    }
    let promote = Query::new(
        "update checkpoints set state = 'live', updated_at = {now} where state = 'rebuilding' and ",
    )
    .of_generation(name, rebuilt.generation);
    Ok(connection.execute(&promote).await? == 1)
}

/// Shows that a generation that is not live yet is still needed. False if it was removed.
pub(crate) async fn touch(
    connection: &mut Connection<'_>,
    checkpoint: &Checkpoint,
) -> Result<bool, StoreError> {
    let query = Query::new("update checkpoints set updated_at = {now} where state = 'rebuilding' and ")
        .of_generation(checkpoint.projection.name(), checkpoint.generation);
    Ok(connection.execute(&query).await? == 1)
}

/// The read models that a rebuild, or a verification, by the fold of this build is filling.
pub(crate) async fn being_filled(connection: &mut Connection<'_>) -> Result<Vec<&'static str>, StoreError> {
    let query = Query::new(
        "select projection, version from checkpoints where state = 'rebuilding' and updated_at > {now} - ",
    )
    .bind(GOING_ON_MICROS);
    let filled = connection.query(&query).await?;
    let is_filled = |projection: &&&dyn AnyProjection| {
        let own = [Value::from(projection.name()), Value::Integer(i64::from(projection.version()))];
        filled.iter().any(|row| *row == own)
    };
    Ok(ALL.iter().filter(is_filled).map(|projection| projection.name()).collect())
}
