//! Jobs by what somebody remembers of them. Each way of finding one walks an index, newest launch first, so that no
//! search reads the whole history.

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::PipelineId;

use super::queries::{JobFilter, conditions, newest};
use super::{Job, Jobs};
use crate::page::{Cursor, Page};
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;
use crate::{pipeline_activity, runners};

/// Characters of an id by which a job is found: the first eight say when it was launched to about a minute, and the
/// last eight are hardly ever those of another.
const ID_PART: usize = 8;
/// Length of a whole id.
const ID: usize = 36;
/// Pipelines that are looked through for a name.
const MAX_PIPELINES: usize = 10_000;
/// Pipelines, and runners, that a search may be about: each is a walk of its own.
const MAX_NAMES: usize = 50;
/// How far the clock of the server may have been set between two ids in a row, and both are still found by their start.
const CLOCK_STEP: TimeDelta = TimeDelta::minutes(1);

/// Why a search finds nothing.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// It would have to look through too much.
    #[error("more than {} pipelines or runners have a name like that: write more of it", MAX_NAMES)]
    TooWide,
    /// The read model gave no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// A way of finding jobs.
enum Term {
    /// Launched in this time, end excluded, which the index in the order of the list knows: that of ids is in another.
    IdStart {
        start: String,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    },
    IdEnd(String),
    Pipeline(PipelineId),
    Runner(String),
}

/// Jobs by filter that `text` is of, newest launch first: it begins or ends their id (at least eight characters), or is
/// part of the name of their pipeline, as far as that is there, or of their runner, as far as that is registered, in
/// whatever case; or it is the whole name of a runner that once was.
pub async fn search(
    read_models: &ReadModels,
    filter: &JobFilter,
    text: &str,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Job>, SearchError> {
    let ways = terms(read_models, text).await?.into_iter().map(|term| |query| term.query(query, filter));
    Ok(newest(read_models, ways, after, limit).await?)
}

async fn terms(read_models: &ReadModels, text: &str) -> Result<Vec<Term>, SearchError> {
    let lower = text.to_lowercase();
    let pipelines: Vec<Term> = pipeline_activity::list(read_models, MAX_PIPELINES)
        .await?
        .into_iter()
        .filter(|pipeline| pipeline.name.to_lowercase().contains(&lower))
        .map(|pipeline| Term::Pipeline(pipeline.pipeline_id))
        .collect();
    let runners = runners::names_with(read_models, &lower, MAX_NAMES + 1).await?;
    if pipelines.len() > MAX_NAMES || runners.len() > MAX_NAMES {
        return Err(SearchError::TooWide);
    }
    let mut terms = pipelines;
    let is_new = !runners.iter().any(|name| name == text);
    terms.extend(runners.into_iter().chain(is_new.then(|| text.to_owned())).map(Term::Runner));
    let is_of_id = |letter: u8| letter.is_ascii_hexdigit() || letter == b'-';
    if (ID_PART..=ID).contains(&lower.len()) && lower.bytes().all(is_of_id) {
        terms.extend(id_start(read_models, &lower).await?);
        terms.push(Term::IdEnd(lower));
    }
    Ok(terms)
}

/// None where no id begins so.
async fn id_start(read_models: &ReadModels, start: &str) -> Result<Option<Term>, QueryError> {
    let mut launches = Vec::new();
    for order in ["", " desc"] {
        let query = with_start(Query::new("select document from {rows} where true"), start)
            .push(&format!(" order by key{order} limit 1"));
        launches.extend(read_models.select::<Jobs>(&query).await?.into_iter().map(|job| job.requested_at));
    }
    let (first, last) = (launches.iter().min(), launches.iter().max());
    Ok(first.zip(last).map(|(first, last)| Term::IdStart {
        start: start.to_owned(),
        since: *first - CLOCK_STEP,
        until: *last + CLOCK_STEP,
    }))
}

fn with_start(query: Query, start: &str) -> Query {
    // The range ends before the first text that does not begin so.
    query.push(" and key >= ").bind(start).push(" and key < ").bind(format!("{start}~"))
}

impl Term {
    /// Goes on with the conditions of it, and of a filter.
    fn query(self, query: Query, filter: &JobFilter) -> Query {
        match self {
            Self::IdStart { start, since, until } => {
                let filter = JobFilter {
                    since: filter.since.max(Some(since)),
                    until: Some(filter.until.map_or(until, |asked| asked.min(until))),
                    ..filter.clone()
                };
                with_start(conditions(query, &filter), &start)
            }
            Self::IdEnd(end) => conditions(query, filter)
                .push(&format!(" and substr(key, {}) = ", ID - ID_PART + 1))
                .bind(&end[end.len() - ID_PART..])
                .push(&format!(" and substr(key, {}) = ", ID - end.len() + 1))
                .bind(&*end),
            Self::Pipeline(id) => conditions(query, filter).push(" and pipeline_id = ").bind(id.to_string()),
            Self::Runner(name) => conditions(query, filter).push(" and runner_id = ").bind(name),
        }
    }
}
