//! `job list`: the jobs of a server, newest first.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, IsTerminal as _};

use clap::Args;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser as _};
use futures_util::stream::{self, StreamExt as _};
use rivet_events::job::JobStatus;
use serde_json::Value;

use super::show::{pipeline_name, why};
use crate::cli::client::{
    Client, ClientOptions, Moment, Table, find_pipeline, items, print_json, shown, text, time, time_between,
};

/// Pipelines that are asked for concurrently.
const CONCURRENT: usize = 8;
/// What `--limit` can be at most.
const MOST: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// Only jobs in this state; several with commas between them
    #[arg(
        long,
        value_name = "STATUS",
        value_delimiter = ',',
        ignore_case = true,
        value_parser = PossibleValuesParser::new(JobStatus::ALL.map(JobStatus::as_str)).map(in_its_case)
    )]
    status: Vec<String>,
    /// Only jobs of this pipeline
    #[arg(long)]
    pipeline: Option<String>,
    /// Only jobs that this runner has or had last
    #[arg(long)]
    runner: Option<String>,
    /// Only jobs that were requested at this time, such as 2026-01-31T12:00:00Z, or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only jobs that were requested before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only jobs with this text in the name of their pipeline or runner, or at the beginning or end of their id
    #[arg(long, value_name = "TEXT", conflicts_with = "at")]
    search: Option<String>,
    /// List at most so many, 1 to 1000
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "20",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST as u64)
    )]
    limit: usize,
    #[command(flatten)]
    moment: Moment,
}

/// The word of the API for a state.
fn in_its_case(word: String) -> String {
    let state = JobStatus::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(&word));
    state.map_or(word, |state| state.as_str().to_owned())
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn list(filter: ListOptions, options: &ClientOptions) -> anyhow::Result<()> {
    let client = Client::new(options)?;
    let pipeline = match &filter.pipeline {
        Some(start) => Some(find_pipeline(&client, start, &filter.moment).await?),
        None => None,
    };
    let status = filter.status.join(",");
    let filters = [
        ("status", Some(&status).filter(|status| !status.is_empty())),
        ("pipeline_id", pipeline.as_ref()),
        ("runner_id", filter.runner.as_ref()),
        ("since", filter.since.as_ref()),
        ("until", filter.until.as_ref()),
        ("search", filter.search.as_ref()),
    ];
    let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())));
    let query: Vec<(&str, &str)> = filters.chain(filter.moment.query()).collect();
    let list = client.list(&["jobs"], &query, filter.limit).await?;
    if options.json {
        return print_json(&list);
    }
    let pipelines = pipeline_names(&client, items(&list), &filter.moment).await;
    let mut table = Table::new(&["id", "pipeline", "status", "requested", "took", "runner", "reason"]);
    for (job, id) in items(&list).iter().zip(shown(&list)) {
        let requested = time(&job["requested_at"]);
        let took = time_between(&job["started_at"], &job["completed_at"]);
        let (pipeline, status) = (pipelines[text(job, "pipeline_id")].as_str(), text(job, "status"));
        table.row([
            id,
            pipeline,
            status,
            &requested,
            &took,
            text(job, "runner_id"),
            why(job, &job["result"]),
        ]);
    }
    table.print("there are no such jobs")?;
    if items(&list).len() == filter.limit && filter.limit < MOST && io::stdout().is_terminal() {
        eprintln!("these are the newest {}: --limit lists more", filter.limit);
    }
    Ok(())
}

/// The names of the pipelines of these jobs at this moment, by their ids. One whose name is not known goes by its id.
async fn pipeline_names(client: &Client, jobs: &[Value], moment: &Moment) -> HashMap<String, String> {
    let ids: BTreeSet<&str> = jobs.iter().map(|job| text(job, "pipeline_id")).collect();
    let named = ids.into_iter().map(|id| async move {
        let name = pipeline_name(client, id, moment).await.unwrap_or_else(|| id.to_owned());
        (id.to_owned(), name)
    });
    stream::iter(named).buffer_unordered(CONCURRENT).collect().await
}
