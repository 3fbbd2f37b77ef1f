//! Queries for lifetimes.

use rivet_events::{Position, StreamId, StreamType};

use super::{Lifetimes, nodes_around};
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;

/// Streams of a kind that were alive at a position, up to `limit` of them, in no order. A runner that was removed and
/// registered again counts as alive in between.
pub(crate) async fn alive(
    read_models: &ReadModels,
    kind: StreamType,
    position: Position,
    limit: usize,
) -> Result<Vec<StreamId>, QueryError> {
    let (up_to, after) = nodes_around(position.0);
    let of_kind = |query: Query| query.push("select document from {rows} where kind = ").bind(kind.as_str());
    let query = of_kind(Query::new(""));
    let query = among(query, &up_to).push(" and ended > ").bind(position).push(" union all ");
    let query = among(of_kind(query), &after).push(" and born <= ").bind(position).push(" union all ");
    let query = of_kind(query).push(" and node is null and born <= ").bind(position);
    let rows = read_models.select::<Lifetimes>(&query.push(" limit ").bind_count(limit)).await?;
    Ok(rows.into_iter().map(|lifetime| StreamId::new(kind, lifetime.id)).collect())
}

fn among(query: Query, nodes: &[u64]) -> Query {
    query.push(" and node in ").bind_list(nodes.iter().copied())
}
