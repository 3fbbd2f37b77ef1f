//! Searches jobs by parts of their id, or of the name of their pipeline or runner. Each kind of match scans an index,
//! newest launch first, so that no search reads the whole history.

use chrono::TimeDelta;
use rivet_events::id::PipelineId;

use super::queries::{JobFilter, conditions, newest};
use super::{Job, Jobs};
use crate::page::{Cursor, Page};
use crate::period::Period;
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;
use crate::{pipeline_activity, runners};

/// Fewest characters of an id by which a job is found: the first eight tell the time of its launch to about a minute,
/// and the last eight are hardly ever those of another job.
const ID_PART: usize = 8;
/// Length of a whole id.
const ID: usize = 36;
/// Most pipelines whose names are compared.
const MAX_PIPELINES: usize = 10_000;
/// Most pipelines, and most runners, that a search may match: each is scanned on its own.
const MAX_NAMES: usize = 50;
/// How far the clock of the server may have been changed between two consecutive ids, such that both are still found
/// by their first characters.
const CLOCK_STEP: TimeDelta = TimeDelta::minutes(1);

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The text matches the names of too many pipelines or runners.
    #[error("more than {} pipelines or runners have a name like that: write more of it", MAX_NAMES)]
    TooWide,
    /// A query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// A condition by which a search finds jobs.
enum Term {
    /// The id begins so. The range of launch times (its end is excluded) is there for the index in the order of the
    /// list, as the index of ids has another order.
    IdStart {
        start: String,
        launched: Period,
    },
    IdEnd(String),
    Pipeline(PipelineId),
    Runner(String),
}

/// The jobs that match a filter and `text`, newest launch first. The text matches if it is:
/// - the beginning or the end of the job's id, of at least eight characters;
/// - a part of the name of its pipeline, ignoring case, if the pipeline is not deleted or still has jobs that have
///   not ended;
/// - a part of the name of its runner, ignoring case, if the runner is registered;
/// - the whole name of its runner, even if the runner is not registered any more.
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

/// The term for ids that begin with `start`; `None` if there are none.
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
        launched: Period { since: Some(*first - CLOCK_STEP), until: Some(*last + CLOCK_STEP) },
    }))
}

fn with_start(query: Query, start: &str) -> Query {
    // `~` is greater than every character of an id.
    query.push(" and key >= ").bind(start).push(" and key < ").bind(format!("{start}~"))
}

impl Term {
    /// Appends the conditions of the term and of a filter.
    fn query(self, query: Query, filter: &JobFilter) -> Query {
        match self {
            Self::IdStart { start, launched } => {
                let filter = JobFilter { launched: filter.launched.and(launched), ..filter.clone() };
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
