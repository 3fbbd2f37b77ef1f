//! Where each read model stands. Its row is the lock: who writes rows moves it on in the same transaction, from the
//! position that the rows were made for (I4). Of two writers, one finds it moved, and writes nothing.
//!
//! A read model is kept in **generations**, each a table of its own. One is live; a rebuild fills the next; when that
//! has caught up, it is live, and the old one retired, for readers that still hold its name.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use rivet_events::log::StoreError;
use rivet_events::{Position, StreamId};

use crate::known_rows::KnownRows;
use crate::parked::ParkedStream;
use crate::projection::{ALL, AnyProjection, Changes};
use crate::query::{Query, Value};
use crate::rows::{Connection, TableChanges};

/// One generation of a read model.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    pub(crate) projection: &'static dyn AnyProjection,
    pub(crate) generation: i64,
    pub(crate) version: u32,
    pub(crate) state: State,
    /// Every event up to here is in its rows.
    pub(crate) position: Position,
    pub(crate) parked: HashSet<StreamId>,
    /// Events that it does without, by decision of an operator.
    pub(crate) skipped: BTreeSet<Position>,
    /// Rows as they are at its position.
    pub(crate) known_rows: KnownRows,
}

/// What a generation is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Being filled.
    Rebuilding,
    /// Asked.
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
    /// The same, without what is known of its rows.
    pub(crate) fn without_rows(&self) -> Self {
        Self {
            projection: self.projection,
            generation: self.generation,
            version: self.version,
            state: self.state,
            position: self.position,
            parked: self.parked.clone(),
            skipped: self.skipped.clone(),
            known_rows: KnownRows::with_capacity(self.projection.known_rows()),
        }
    }

    /// What is to become of its rows.
    pub(crate) fn changed<'a>(&self, changes: &'a Changes) -> TableChanges<'a> {
        TableChanges { table: self.table(), schema: self.projection.schema(), changes }
    }

    /// The table of its rows.
    pub(crate) fn table(&self) -> String {
        table(self.projection.name(), self.generation)
    }
}

/// The table of a generation.
pub(crate) fn table(projection: &str, generation: i64) -> String {
    format!("{projection}_g{generation}")
}

/// All generations that are live or being filled, of the read models that this build knows.
pub(crate) async fn load(connection: &mut Connection<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = connection
        .query(
            "select projection, generation, version, state, position, null as stream from checkpoints
             where state in ('live', 'rebuilding')
             union all
             select projection, generation, null, null, null, stream from parked_streams
             union all
             select projection, generation, null, null, position, null from skipped_events
             order by 1, 2, 3 nulls last",
            &[],
        )
        .await?;
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for row in rows {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or(Value::Null);
        let (name, generation) = (next().into_text(), next().integer());
        let (version, state, position, stream) =
            (next().integer(), next().into_text(), next().integer(), next().into_text());
        let Some(projection) = ALL.iter().find(|p| Some(p.name()) == name.as_deref()) else { continue };
        let generation = generation.unwrap_or_default();
        let position = Position(position.and_then(|p| u64::try_from(p).ok()).unwrap_or_default());
        if let Some(state) = state {
            checkpoints.push(Checkpoint {
                projection: *projection,
                generation,
                version: version.and_then(|v| u32::try_from(v).ok()).unwrap_or_default(),
                state: if state == "live" { State::Live } else { State::Rebuilding },
                position,
                parked: HashSet::new(),
                skipped: BTreeSet::new(),
                known_rows: KnownRows::with_capacity(projection.known_rows()),
            });
            continue;
        }
        let is_owner =
            |c: &&mut Checkpoint| c.projection.name() == projection.name() && c.generation == generation;
        let Some(owner) = checkpoints.last_mut().filter(is_owner) else { continue };
        match stream.map(|stream| stream.parse()) {
            Some(Ok(stream)) => {
                owner.parked.insert(stream);
            }
            Some(Err(_)) => {}
            None => {
                owner.skipped.insert(position);
            }
        }
    }
    Ok(checkpoints)
}

/// Moves generations that all stand at one position on to another, if they still stand there.
pub(crate) async fn advance(
    connection: &mut Connection<'_>,
    checkpoints: &[Checkpoint],
    to: Position,
) -> Result<bool, StoreError> {
    let Some(first) = checkpoints.first() else { return Ok(true) };
    let mut query = Query::new("update checkpoints set updated_at = {now}, position = ")
        .bind(number(to))
        .push(" where position = ")
        .bind(number(first.position))
        .push(" and state = ")
        .bind(first.state.as_str())
        .push(" and (");
    for (n, checkpoint) in checkpoints.iter().enumerate() {
        query = query
            .push(if n == 0 { "(projection = " } else { " or (projection = " })
            .bind(checkpoint.projection.name())
            .push(" and generation = ")
            .bind(checkpoint.generation)
            .push(")");
    }
    let query = query.push(")");
    let moved = connection.execute(&query.text, &query.args).await?;
    Ok(moved == checkpoints.len() as u64)
}

/// Remembers a stream that a generation has given up.
pub(crate) async fn park(
    connection: &mut Connection<'_>,
    checkpoint: &Checkpoint,
    parked: &ParkedStream,
) -> Result<(), StoreError> {
    let query =
        Query::new("insert into parked_streams (projection, generation, stream, position, error) values (")
            .bind(checkpoint.projection.name())
            .push(", ")
            .bind(checkpoint.generation)
            .push(", ")
            .bind(parked.stream.to_string())
            .push(", ")
            .bind(number(parked.position))
            .push(", ")
            .bind(parked.error.replace('\0', "\u{fffd}"))
            .push(") on conflict do nothing");
    connection.execute(&query.text, &query.args).await?;
    Ok(())
}

/// Keeps the live generation of a read model where it is until the transaction ends. Its position.
pub(crate) async fn hold_live(
    connection: &mut Connection<'_>,
    projection: &str,
) -> Result<Option<Position>, StoreError> {
    let query =
        Query::new("update checkpoints set updated_at = {now} where state = 'live' and projection = ")
            .bind(projection)
            .push(" returning position");
    let rows = connection.query(&query.text, &query.args).await?;
    let position = rows.first().and_then(|row| row.first()).and_then(Value::integer);
    Ok(position.and_then(|position| u64::try_from(position).ok()).map(Position))
}

/// As the database keeps it.
pub(crate) fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
