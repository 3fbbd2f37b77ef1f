//! Counts the places of concurrency groups that are taken.

use std::collections::BTreeMap;

use rivet_events::job::Concurrency;

use super::JobQueue;
use super::fold::indexable;
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;

/// How many places of each concurrency group are taken: by running jobs, by reservation, or both.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Occupancy(pub(super) BTreeMap<String, u64>);

/// One place for each job.
impl<'a> FromIterator<&'a Concurrency> for Occupancy {
    fn from_iter<T: IntoIterator<Item = &'a Concurrency>>(jobs: T) -> Self {
        let mut taken = BTreeMap::new();
        for job in jobs {
            *taken.entry(job.group.clone()).or_default() += 1;
        }
        Self(taken)
    }
}

impl Occupancy {
    /// Adds the places of the running jobs of these groups.
    pub async fn with_running<'a>(
        mut self,
        read_models: &ReadModels,
        groups: impl IntoIterator<Item = &'a Concurrency>,
    ) -> Result<Self, QueryError> {
        let names: BTreeMap<String, &str> =
            groups.into_iter().map(|job| (indexable(&job.group), &*job.group)).collect();
        if names.is_empty() {
            return Ok(self);
        }
        let query = Query::new("select concurrency_group, count(*) from {rows} where concurrency_group in ")
            .bind_list(names.keys().map(String::as_str))
            .push(" and claim_order is null group by concurrency_group");
        let rows = read_models.values::<JobQueue>(&query).await?;
        let running = rows.into_iter().filter_map(|row| {
            let count = row.get(1)?.count()?;
            let name = row.into_iter().next()?.into_text()?;
            Some((*names.get(&name)?, count))
        });
        for (group, count) in running {
            *self.0.entry(group.to_owned()).or_default() += count;
        }
        Ok(self)
    }

    /// Whether there is a place for a job. One without a group needs none.
    #[must_use]
    pub fn has_place(&self, job: Option<&Concurrency>) -> bool {
        let taken = |job: &Concurrency| self.0.get(&job.group).copied().unwrap_or_default();
        job.is_none_or(|job| taken(job) < u64::from(job.limit))
    }

    /// Takes a place for a job, and returns whether there was one.
    pub fn take(&mut self, job: Option<&Concurrency>) -> bool {
        let has_place = self.has_place(job);
        if let Some(job) = job
            && has_place
        {
            *self.0.entry(job.group.clone()).or_default() += 1;
        }
        has_place
    }
}

#[cfg(test)]
mod tests {
    use rivet_events::pipeline::ConcurrencyPolicy;

    use super::*;

    fn job(group: &str, limit: u32) -> Concurrency {
        Concurrency { group: group.to_owned(), limit, policy: ConcurrencyPolicy::Queue }
    }

    #[test]
    fn a_group_has_as_many_places_as_it_allows_running_jobs() {
        let (a, b) = (job("a", 2), job("b", 1));
        let mut occupancy: Occupancy = [&a].into_iter().collect();
        assert_eq!([&a, &a, &b, &b].map(|job| occupancy.take(Some(job))), [true, false, true, false]);
        assert_eq!(occupancy, [&a, &a, &b].into_iter().collect());
    }

    #[test]
    fn each_job_counts_with_the_limit_that_it_was_launched_with() {
        let mut occupancy: Occupancy = [&job("a", 1)].into_iter().collect();
        assert_eq!([1, 2, 2].map(|limit| occupancy.take(Some(&job("a", limit)))), [false, true, false]);
        assert!(occupancy.has_place(Some(&job("a", 3))));
    }

    #[test]
    fn a_group_without_places_admits_nobody_and_a_job_without_a_group_needs_no_place() {
        let mut occupancy = Occupancy::default();
        assert_eq!([Some(&job("a", 0)), None].map(|job| occupancy.take(job)), [false, true]);
    }
}
