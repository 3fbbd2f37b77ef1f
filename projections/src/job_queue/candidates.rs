//! Queries for the jobs that a runner may claim.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use rivet_events::Position;

use super::fold::indexable;
use super::queries::one_of_each;
use super::{JobQueue, QueuedJob};
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

    /// Those that a runner with these capabilities covers; `None` means an unrestricted runner.
    #[must_use]
    pub fn covered_by(&self, capabilities: Option<&[String]>) -> Covered {
        let Some(capabilities) = capabilities else { return Covered::Everything };
        let covers = |job: &&QueuedJob| job.demands.iter().all(|demand| capabilities.contains(demand));
        Covered::Sets(self.0.iter().filter(covers).filter_map(|job| job.demands_key.clone()).collect())
    }
}

/// The jobs that a runner may claim now, in claim order.
///
/// `capabilities` of `None` means an unrestricted runner; `fencing` says whether the runner echoes its lease. Jobs of
/// a full concurrency group are left out.
pub async fn candidates(
    read_models: &ReadModels,
    capabilities: Option<&[String]>,
    fencing: bool,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    let covered = match capabilities {
        Some(_) => demands(read_models).await?.covered_by(capabilities),
        None => Covered::Everything,
    };
    Offer { fencing, now, limit, reserved: &BTreeMap::new() }.to(read_models, &covered).await
}

/// The jobs that a runner which covers these demands, and echoes its lease, may claim now, in claim order. Of the
/// places of each concurrency group, so many as `reserved` says are taken besides those of running jobs.
pub async fn offered(
    read_models: &ReadModels,
    covered: &Covered,
    reserved: &BTreeMap<String, u64>,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    Offer { fencing: true, now, limit, reserved }.to(read_models, covered).await
}

/// The jobs that a runner may get.
struct Offer<'a> {
    fencing: bool,
    now: DateTime<Utc>,
    limit: usize,
    reserved: &'a BTreeMap<String, u64>,
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
        let query = Query::new("select document from {rows} as job where claim_order is not null");
        self.claimable(query)
    }

    /// One branch for each set of demands, so that each scans the index of its own queue and stops at the limit.
    fn restricted_to(&self, demands_keys: &[String]) -> Query {
        let mut query = Query::new("select document from (");
        for (n, demands_key) in demands_keys.iter().enumerate() {
            query = query
                .push(if n == 0 { "" } else { " union all " })
                .push("select * from (select key, claim_order, document from {rows} as job where demands_key = ")
                .bind(&**demands_key);
            query = self.claimable(query).push(&format!(") as queue_{n}"));
        }
        query.push(") as queues order by claim_order, key limit ").bind_count(self.limit)
    }

    fn claimable(&self, query: Query) -> Query {
        let query = query
            .push(if self.fencing { "" } else { " and needs_fencing = 0" })
            // As `QueuedJob::is_due`.
            .push(" and (due_at <= queued_at or due_at <= ")
            .bind(self.now.timestamp_micros())
            .push(
                ") and (concurrency_group is null or concurrency_limit > (
                     select count(*) from {rows} as held
                     where held.concurrency_group = job.concurrency_group and held.claim_order is null)",
            );
        self.add_reserved(query).push(") order by claim_order, key limit ").bind_count(self.limit)
    }

    /// Adds the places that are reserved in the group of the job.
    fn add_reserved(&self, mut query: Query) -> Query {
        if self.reserved.is_empty() {
            return query;
        }
        query = query.push(" + case concurrency_group");
        for (group, places) in self.reserved {
            query = query.push(" when ").bind(indexable(group)).push(" then ").bind(places.cast_signed());
        }
        query.push(" else 0 end")
    }
}

/// As [`candidates`], at a position that the read models have reached; `now` is the time of that position.
pub async fn candidates_at(
    read_models: &ReadModels,
    position: Position,
    capabilities: Option<&[String]>,
    fencing: bool,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, PastError> {
    let mut jobs = read_models.rows_at::<JobQueue>(position).await?;
    let mut running: HashMap<String, u32> = HashMap::new();
    for held in jobs.iter().filter(|job| job.claim_order.is_none()) {
        *running.entry(held.concurrency_group.clone().unwrap_or_default()).or_default() += 1;
    }
    let is_full = |job: &QueuedJob| match (&job.concurrency_group, job.concurrency_limit) {
        (Some(group), Some(limit)) => running.get(group).is_some_and(|running| *running >= limit),
        (Some(_) | None, _) => false,
    };
    let covers = |demands: &[String]| {
        capabilities.is_none_or(|capabilities| demands.iter().all(|demand| capabilities.contains(demand)))
    };
    jobs.retain(|job| {
        job.claim_order.is_some()
            && job.is_due(now)
            && (fencing || !job.needs_fencing)
            && covers(&job.demands)
            && !is_full(job)
    });
    jobs.sort_unstable_by_key(|job| (job.claim_order, job.job_id));
    jobs.truncate(limit);
    Ok(jobs)
}

/// Each set of demands that a waiting job has.
pub async fn demands(read_models: &ReadModels) -> Result<Demands, QueryError> {
    Ok(Demands(one_of_each(read_models, "demands_key").await?))
}
