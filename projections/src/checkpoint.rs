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
use crate::projection::{ALL, AnyProjection};
use crate::query::{self, Query, Value};
use crate::rows::Connection;

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
            (next().integer(), next().into_text(), next().count(), next().into_text());
        let Some(projection) = ALL.iter().find(|p| Some(p.name()) == name.as_deref()) else { continue };
        let generation = generation.unwrap_or_default();
        let position = Position(position.unwrap_or_default());
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

/// That a row of `checkpoints` is of one of these generations. It is spelled out, with nothing to bind: SQLite plans a
/// statement anew each time that a value is bound to what the condition of an index speaks of.
pub(crate) fn is_of(checkpoints: &[Checkpoint]) -> String {
    let name = |c: &Checkpoint| format!("('{}', {})", c.projection.name(), c.generation);
    let names: Vec<String> = checkpoints.iter().map(name).collect();
    format!("(projection, generation) in (values {})", names.join(", "))
}

/// Whether the database has one of these generations further than they are here: another process stores them.
pub(crate) async fn are_overtaken(
    connection: &mut Connection<'_>,
    checkpoints: &[Checkpoint],
) -> Result<bool, StoreError> {
    let Some(first) = checkpoints.first() else { return Ok(false) };
    let query =
        Query::new(&format!("select 1 from checkpoints where {} and position > ", is_of(checkpoints)))
            .bind(number(first.position));
    Ok(!connection.query(&query.text, &query.args).await?.is_empty())
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
    Ok(query::only(&rows).and_then(Value::count).map(Position))
}

/// As the database keeps it.
pub(crate) fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
