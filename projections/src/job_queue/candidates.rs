//! Queries for the jobs that a runner may claim.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivet_events::runner::Capabilities;
use rivet_events::{CLOCKS_DIFFER, Position};

use super::fold::indexable;
use super::queries::distinct;
use super::{JobQueue, Occupancy, QueuedJob};
use crate::past::PastError;
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;

/// Most sets of demands in one statement.
const DEMANDS_PER_QUERY: usize = 100;

/// The sets of demands that waiting jobs have.
#[derive(Debug, Default)]
pub struct Demands(Vec<QueuedJob>);

/// The sets of demands that a runner covers, of those that waiting jobs have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Covered {
    /// The runner is unrestricted.
    Everything,
    /// Their keys.
    Sets(Vec<String>),
}

impl Demands {
    /// How many sets there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Those that a runner with these capabilities covers.
    #[must_use]
    pub fn covered_by(&self, capabilities: &Capabilities) -> Covered {
        if capabilities.0.is_none() {
            return Covered::Everything;
        }
        let covered = self.0.iter().filter(|job| capabilities.covers(&job.demands));
        Covered::Sets(covered.filter_map(|job| job.demands_key.clone()).collect())
    }
}

/// The jobs that a runner may claim now, in claim order.
///
/// `fencing` says whether the runner echoes its lease. There are no more jobs of a concurrency group than it has places,
/// so that all of them can be claimed.
pub async fn candidates(
    read_models: &ReadModels,
    capabilities: &Capabilities,
    fencing: bool,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    let covered = match capabilities.0 {
        Some(_) => demands(read_models).await?.covered_by(capabilities),
        None => Covered::Everything,
    };
    let mut kept: BTreeMap<_, QueuedJob> = BTreeMap::new();
    loop {
        let reserved: Occupancy = kept.values().filter_map(|job| job.concurrency.as_ref()).collect();
        let jobs = Offer { fencing, now, limit, reserved: &reserved }.to(read_models, &covered).await?;
        let is_cut = jobs.len() == limit;
        let groups = jobs.iter().filter_map(|job| job.concurrency.as_ref());
        let mut occupancy = reserved.with_running(read_models, groups).await?;
        let (kept_before, mut are_some_left_out) = (kept.len(), false);
        for job in jobs {
            let order = (job.claim_order, job.job_id);
            if kept.contains_key(&order) {
                continue;
            }
            if occupancy.take(job.concurrency.as_ref()) {
                kept.insert(order, job);
            } else {
                are_some_left_out = true;
            }
        }
        // What was left out may hide others. The places of its group are reserved now, so another query passes it over.
        let may_be_more = is_cut && are_some_left_out && kept_before < kept.len() && kept.len() < limit;
        if !may_be_more {
            return Ok(kept.into_values().take(limit).collect());
        }
    }
}

/// The jobs that a runner which covers these demands, and echoes its lease, may claim now, in claim order. Of the
/// places of each concurrency group, so many as `reserved` says are taken besides those of running jobs.
pub async fn offered(
    read_models: &ReadModels,
    covered: &Covered,
    reserved: &Occupancy,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    Offer { fencing: true, now, limit, reserved }.to(read_models, covered).await
}

/// Adds the places that are reserved in the group of the job.
const RESERVED: &str =
    " + coalesce((select sum(places) from reserved where name = job.concurrency_group), 0)";

/// The jobs that a runner may get.
struct Offer<'a> {
    fencing: bool,
    now: DateTime<Utc>,
    limit: usize,
    reserved: &'a Occupancy,
}

impl Offer<'_> {
    async fn to(&self, read_models: &ReadModels, covered: &Covered) -> Result<Vec<QueuedJob>, QueryError> {
        let Covered::Sets(keys) = covered else {
            return read_models.select::<JobQueue>(&self.unrestricted()).await;
        };
        let mut jobs = Vec::new();
        for keys in keys.chunks(DEMANDS_PER_QUERY) {
            jobs.extend(read_models.select::<JobQueue>(&self.restricted_to(keys)).await?);
        }
        jobs.sort_unstable_by_key(|job| (job.claim_order, job.job_id));
        jobs.truncate(self.limit);
        Ok(jobs)
    }

    fn unrestricted(&self) -> Query {
        let query = self.reserving().push("select document from {rows} as job where claim_order is not null");
        self.claimable(query)
    }

    /// One branch for each set of demands, so that each scans the index of its own queue and stops at the limit.
    fn restricted_to(&self, demands_keys: &[String]) -> Query {
        let mut query = self.reserving().push("select document from (");
        for (n, demands_key) in demands_keys.iter().enumerate() {
            query = query
                .push(if n == 0 { "" } else { " union all " })
                .push("select * from (select key, claim_order, document from {rows} as job where demands_key = ")
                .bind(&**demands_key);
            query = self.claimable(query).push(&format!(") as queue_{n}"));
        }
        query.push(") as queues order by claim_order, key limit ").bind_count(self.limit)
    }

    /// Begins a query with the reserved places, as `reserved(name, places)`: once for all of its branches, since a statement
    /// may only have so many arguments.
    fn reserving(&self) -> Query {
        let (mut query, mut begin) = (Query::new(""), "with reserved(name, places) as (values (");
        for (group, places) in &self.reserved.0 {
            query = query.push(begin).bind(indexable(group)).push(", ").bind(*places).push(")");
            begin = ", (";
        }
        query.push(if self.is_any_reserved() { ") " } else { "" })
    }

    fn is_any_reserved(&self) -> bool {
        !self.reserved.0.is_empty()
    }

    fn claimable(&self, query: Query) -> Query {
        query
            .push(if self.fencing { "" } else { " and needs_fencing = 0" })
            // As `is_due` of `rivet_events::job`.
            .push(" and (due_at <= queued_at or due_at <= ")
            .bind(self.now.timestamp_micros())
            .push(" or queued_at > ")
            .bind((self.now + CLOCKS_DIFFER).timestamp_micros())
            .push(
                ") and (concurrency_group is null or concurrency_limit > (
                     select count(*) from {rows} as held
                     where held.concurrency_group = job.concurrency_group and held.claim_order is null)",
            )
            .push(if self.is_any_reserved() { RESERVED } else { "" })
            .push(") order by claim_order, key limit ")
            .bind_count(self.limit)
    }
}

/// As [`candidates`], at a position that the read models have reached; `now` is the time of that position.
pub async fn candidates_at(
    read_models: &ReadModels,
    position: Position,
    capabilities: &Capabilities,
    fencing: bool,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, PastError> {
    let mut jobs = read_models.rows_at::<JobQueue>(position).await?;
    let running = jobs.iter().filter(|job| job.claim_order.is_none());
    let mut occupancy: Occupancy = running.filter_map(|job| job.concurrency.as_ref()).collect();
    jobs.retain(|job| {
        job.claim_order.is_some()
            && job.is_due(now)
            && (fencing || !job.needs_fencing)
            && capabilities.covers(&job.demands)
    });
    jobs.sort_unstable_by_key(|job| (job.claim_order, job.job_id));
    jobs.retain(|job| occupancy.take(job.concurrency.as_ref()));
    jobs.truncate(limit);
    Ok(jobs)
}

/// Each set of demands that a waiting job has.
pub async fn demands(read_models: &ReadModels) -> Result<Demands, QueryError> {
    let query = distinct("demands_key", "demands_key is not null").push(
        "select (select document from {rows} as job where job.demands_key = distinct_values.value limit 1)
         from distinct_values",
    );
    Ok(Demands(read_models.select::<JobQueue>(&query).await?))
}

#[cfg(test)]
mod tests {
    use rivet_events::job::Concurrency;
    use rivet_events::pipeline::ConcurrencyPolicy;

    use super::*;

    #[test]
    fn the_arguments_of_a_query_do_not_multiply() {
        let group = |n| Concurrency { group: format!("g{n}"), limit: 1, policy: ConcurrencyPolicy::Queue };
        let groups: Vec<Concurrency> = (0..400).map(group).collect();
        let reserved: Occupancy = groups.iter().collect();
        let offer = Offer { fencing: true, now: DateTime::UNIX_EPOCH, limit: 10, reserved: &reserved };
        let arguments = |sets| offer.restricted_to(&vec![String::new(); sets]).args.len();
        assert_eq!(arguments(DEMANDS_PER_QUERY), 2 * groups.len() + 4 * DEMANDS_PER_QUERY + 1);
    }
}
