//! Checkpoints: the position of each read model. The row of a checkpoint is also the lock: a writer of rows advances
//! it in the same transaction, and only from the position that its rows are based on (I4). Of two writers, one finds
//! it advanced already, and writes nothing.
//!
//! A read model is stored in **generations**, each in a table of its own. One is live; a rebuild fills the next one.
//! When that has caught up, it becomes live, and the old one is retired, but kept for a while for readers that still
//! use its name.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use rivet_events::log::StoreError;
use rivet_events::{Position, StreamId};

use crate::generation::NO_VERSION;
use crate::projection::{ALL, AnyProjection};
use crate::query::{self, Query, Value};
use crate::row_cache::RowCache;
use crate::rows::Connection;

/// How far one generation of a read model has come.
#[derive(Clone, Copy)]
pub(crate) struct Checkpoint {
    pub(crate) projection: &'static dyn AnyProjection,
    pub(crate) generation: i64,
    pub(crate) version: u32,
    pub(crate) state: State,
    /// Its rows contain every event up to here.
    pub(crate) position: Position,
}

/// One generation of a read model, with what it takes to fold further events.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) parked: HashSet<StreamId>,
    /// Events that it leaves out, by decision of operators.
    pub(crate) skipped: BTreeSet<Position>,
    /// Caches rows as they are at its checkpoint.
    pub(crate) row_cache: RowCache,
}

/// What a generation is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// A rebuild or a verification fills it.
    Rebuilding,
    /// Queries read it.
    Live,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rebuilding => "rebuilding",
            Self::Live => "live",
        }
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}", self.table(), self.state.as_str(), self.position)
    }
}

impl Checkpoint {
    /// The name of its table.
    pub(crate) fn table(&self) -> String {
        table(self.projection.name(), self.generation)
    }

    /// Whether another fold than that of this build has made its rows, or more than one.
    pub(crate) fn is_foreign(&self) -> bool {
        self.version != self.projection.version()
    }

    /// Whether another build has made its rows, and no process of this one that leads has adopted them.
    pub(crate) fn is_of_another_build(&self) -> bool {
        self.is_foreign() && self.version != NO_VERSION
    }

    /// Whether a newer build has made its rows.
    pub(crate) fn is_newer(&self) -> bool {
        self.version > self.projection.version()
    }
}

/// The name of the table of a generation.
pub(crate) fn table(projection: &str, generation: i64) -> String {
    format!("{projection}_g{generation}")
}

impl Generation {
    /// A generation that has parked and skipped nothing yet.
    pub(crate) fn new(checkpoint: Checkpoint) -> Self {
        let row_cache = RowCache::with_capacity(checkpoint.projection.cached_rows());
        Self { checkpoint, parked: HashSet::new(), skipped: BTreeSet::new(), row_cache }
    }

    /// As [`load`], by one statement, so that everything is as of the checkpoints.
    pub(crate) async fn load(connection: &mut Connection<'_>) -> Result<Vec<Self>, StoreError> {
        let rows = connection
            .query(&Query::new(
                "select projection, generation, version, state, position, null as stream from checkpoints
                 where state in ('live', 'rebuilding')
                 union all
                 select projection, generation, null, null, null, stream from parked_streams
                 union all
                 select projection, generation, null, null, position, null from skipped_events
                 order by 1, 2, 3 nulls last",
            ))
            .await?;
        let mut generations: Vec<Self> = Vec::new();
        for row in rows {
            if let Some(checkpoint) = checkpoint(&row) {
                generations.push(Self::new(checkpoint));
                continue;
            }
            let [Value::Text(name), Value::Integer(generation), .., position, stream] = &row[..] else {
                continue;
            };
            let is_owner = |owner: &&mut Self| {
                owner.checkpoint.projection.name() == name && owner.checkpoint.generation == *generation
            };
            let Some(owner) = generations.last_mut().filter(is_owner) else { continue };
            owner.skipped.extend(position.count().map(Position));
            if let Value::Text(stream) = stream {
                owner.parked.extend(stream.parse());
            }
        }
        Ok(generations)
    }
}

/// The checkpoints of these generations.
pub(crate) fn of(generations: &[Generation]) -> Vec<Checkpoint> {
    generations.iter().map(|generation| generation.checkpoint).collect()
}

/// Loads all generations that are live or being filled, of the read models that this build knows.
pub(crate) async fn load(connection: &mut Connection<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = connection
        .query(&Query::new(
            "select projection, generation, version, state, position from checkpoints
             where state in ('live', 'rebuilding') order by 1, 2",
        ))
        .await?;
    Ok(rows.iter().filter_map(|row| checkpoint(row)).collect())
}

fn checkpoint(row: &[Value]) -> Option<Checkpoint> {
    let [Value::Text(name), Value::Integer(generation), version, Value::Text(state), position, ..] = row
    else {
        return None;
    };
    Some(Checkpoint {
        projection: *ALL.iter().find(|projection| projection.name() == name)?,
        generation: *generation,
        version: version.integer().and_then(|version| u32::try_from(version).ok()).unwrap_or_default(),
        state: if state == "live" { State::Live } else { State::Rebuilding },
        position: Position(position.count().unwrap_or_default()),
    })
}

/// A condition: a row of `checkpoints` is one of these generations. It contains their names instead of parameters,
/// since SQLite plans a statement again each time a parameter is bound that the condition of a partial index depends
/// on.
pub(crate) fn condition_for(checkpoints: &[Checkpoint]) -> String {
    let name = |c: &Checkpoint| format!("('{}', {})", c.projection.name(), c.generation);
    let names: Vec<String> = checkpoints.iter().map(name).collect();
    format!("(projection, generation) in (values {})", names.join(", "))
}

/// Whether one of these generations has advanced further in the database than here: then another process stores them.
pub(crate) async fn are_overtaken(
    connection: &mut Connection<'_>,
    checkpoints: &[Checkpoint],
) -> Result<bool, StoreError> {
    let Some(first) = checkpoints.first() else { return Ok(false) };
    let query = Query::new(&format!(
        "select 1 from checkpoints where {} and position > ",
        condition_for(checkpoints)
    ))
    .bind(first.position);
    Ok(!connection.query(&query).await?.is_empty())
}

/// Locks the live generation of a read model at its position until the transaction ends. Returns the position.
pub(crate) async fn lock_live(
    connection: &mut Connection<'_>,
    projection: &str,
) -> Result<Option<Position>, StoreError> {
    let query =
        Query::new("update checkpoints set updated_at = {now} where state = 'live' and projection = ")
            .bind(projection)
            .push(" returning position");
    let rows = connection.query(&query).await?;
    Ok(query::only(&rows).and_then(Value::count).map(Position))
}
