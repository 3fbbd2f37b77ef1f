//! `job …`: commands about the jobs of a server.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, IsTerminal as _, Write};

use clap::builder::{PossibleValuesParser, RangedU64ValueParser};
use clap::{Args, Subcommand};
use futures_util::stream::{self, StreamExt as _};
use reqwest::Method;
use rivet_events::job::JobStatus;
use serde_json::{Value, json};

use super::client::{
    Client, ClientOptions, Moment, Table, find_pipeline, items, print_json, shown, text, time, time_between,
};
use super::job_logs;
use super::output::one_line;

/// Pipelines that are asked for concurrently.
const CONCURRENT: usize = 8;

#[derive(Debug, Args)]
pub(super) struct JobCommand {
    #[command(subcommand)]
    subcommand: JobSubcommand,

    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Subcommand)]
enum JobSubcommand {
    /// List jobs, newest first
    List(ListOptions),
    /// Show a job
    Get {
        /// Id of the job, or the beginning of it
        job: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// Print the log of a job
    Logs {
        /// Id of the job, or the beginning of it
        job: String,
        /// Follow the log until the job has ended
        #[arg(short, long)]
        follow: bool,
    },
    /// Show everything that happened to a job: when, what, by whom, and what came of it
    Events {
        /// Id of the job, or the beginning of it
        job: String,
    },
    /// Cancel a job
    Cancel {
        /// Id of the job, or the beginning of it
        job: String,
        /// End the job after the grace, whatever its runner does
        #[arg(long)]
        force: bool,
        /// Why, for whoever reads its history
        #[arg(long)]
        reason: Option<String>,
    },
    /// Launch an ended job again
    Retry {
        /// Id of the job, or the beginning of it
        job: String,
        /// Launch once, however often this command is repeated with this key
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

#[derive(Debug, Args)]
struct ListOptions {
    /// Only jobs in this state; several with commas between them
    #[arg(
        long,
        value_name = "STATUS",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(JobStatus::ALL.map(JobStatus::as_str))
    )]
    status: Vec<String>,
    /// Only jobs of this pipeline
    #[arg(long)]
    pipeline: Option<String>,
    /// Only jobs that this runner has or had last
    #[arg(long)]
    runner: Option<String>,
    /// List at most so many, 1 to 1000
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "20",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000)
    )]
    limit: usize,
    #[command(flatten)]
    moment: Moment,
}

pub(super) async fn run(JobCommand { subcommand, client: options }: JobCommand) -> anyhow::Result<()> {
    match subcommand {
        JobSubcommand::List(filter) => list(filter, &options).await,
        JobSubcommand::Get { job, moment } => {
            let (client, id) = options.job(&job).await?;
            show(&client.get(&["jobs", &id], moment.query().as_slice()).await?, &options)
        }
        JobSubcommand::Logs { job, follow } => {
            let (client, id) = options.job(&job).await?;
            if follow {
                job_logs::follow(&client, &id, options.json).await.map(drop)
            } else {
                job_logs::print(&client, &id, options.json).await
            }
        }
        JobSubcommand::Events { job } => events(&job, &options).await,
        JobSubcommand::Cancel { job, force, reason } => {
            let (client, id) = options.job(&job).await?;
            let request = client.request(Method::POST, &["jobs", &id, "cancel"]);
            client.send(request.json(&json!({"force": force, "reason": reason}))).await?;
            show(&client.get(&["jobs", &id], &[]).await?, &options)
        }
        JobSubcommand::Retry { job, key } => {
            let (client, id) = options.job(&job).await?;
            let mut request = client.request(Method::POST, &["jobs", &id, "retry"]).json(&json!({}));
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            show(&client.send(request).await?, &options)
        }
    }
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
async fn list(filter: ListOptions, options: &ClientOptions) -> anyhow::Result<()> {
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
    if items(&list).len() == filter.limit && io::stdout().is_terminal() {
        eprintln!("these are the newest {}: --limit lists more", filter.limit);
    }
    Ok(())
}

/// The names of the pipelines of these jobs at this moment, by their ids. One that is not there any more goes by its id.
async fn pipeline_names(client: &Client, jobs: &[Value], moment: &Moment) -> HashMap<String, String> {
    let ids: BTreeSet<&str> = jobs.iter().map(|job| text(job, "pipeline_id")).collect();
    let named = ids.into_iter().map(|id| async move {
        let pipeline = client.get(&["pipeline", id], moment.query().as_slice()).await;
        let name = pipeline.map_or_else(|_| id.to_owned(), |pipeline| text(&pipeline, "name").to_owned());
        (id.to_owned(), name)
    });
    stream::iter(named).buffer_unordered(CONCURRENT).collect().await
}

/// Prints one job, a line for each member.
pub(super) fn show(job: &Value, options: &ClientOptions) -> anyhow::Result<()> {
    if options.json {
        return print_json(job);
    }
    let mut out = io::stdout().lock();
    let mut line = |member: &str, value: &str| writeln!(out, "{member:<10}  {}", one_line(value));
    line("id", text(job, "id"))?;
    line("pipeline", &format!("{} version {}", text(job, "pipeline_id"), job["pipeline_version"]))?;
    line("status", &format!("{} ({})", text(job, "status"), text(job, "phase")))?;
    line("requested", &time(&job["requested_at"]))?;
    line("started", &time(&job["started_at"]))?;
    line("completed", &time(&job["completed_at"]))?;
    line("runner", text(job, "runner_id"))?;
    line("attempt", &job["attempt"].to_string())?;
    line("priority", &job["priority"].to_string())?;
    line("parameters", &job["parameters"].to_string())?;
    if let Some(reason) = job["reason"].as_str() {
        line("reason", reason)?;
    }
    if let Some(first) = job["retry_of"].as_str() {
        line("retry of", first)?;
    }
    if job["waiting"].is_object() {
        line("waiting", &waiting(&job["waiting"]))?;
    }
    if job["result"].is_object() {
        line("exit code", &job["result"]["exit_code"].to_string())?;
    }
    if !job["result"]["output"].is_null() {
        line("output", &job["result"]["output"].to_string())?;
    }
    if let Some(error) = job["result"]["error_message"].as_str() {
        line("error", error)?;
    }
    Ok(())
}

/// The place of a waiting job in the queue, and what it waits for.
pub(super) fn waiting(waiting: &Value) -> String {
    let missing: Vec<&str> =
        items(&waiting["missing_capabilities"]).iter().filter_map(Value::as_str).collect();
    let missing =
        if missing.is_empty() { String::new() } else { format!(", missing {}", missing.join(", ")) };
    let group = waiting["group"].as_str().map(|group| {
        let holders: Vec<&str> = items(&waiting["held_by"]).iter().filter_map(Value::as_str).collect();
        // They may have left it just now.
        let held = if holders.is_empty() { "" } else { " held by " };
        format!(", group {group}{held}{}", holders.join(", "))
    });
    let group = group.unwrap_or_default();
    format!("place {}, {}{missing}{group}", waiting["place"], text(waiting, "reason"))
}

async fn events(job: &str, options: &ClientOptions) -> anyhow::Result<()> {
    let (client, id) = options.job(job).await?;
    let history = client.get(&["jobs", &id, "events"], &[("states", "true")]).await?;
    if options.json {
        return print_json(&history);
    }
    let mut table = Table::new(&["position", "time", "event", "status", "by", "through", "request"]);
    for event in items(&history["events"]) {
        let (position, recorded) = (event["position"].to_string(), time(&event["recorded_at"]));
        let metadata = &event["metadata"];
        table.row([
            position.as_str(),
            &recorded,
            text(event, "type"),
            text(&event["state"], "status"),
            text(metadata, "actor"),
            text(metadata, "user_agent"),
            text(metadata, "request_id"),
        ]);
    }
    Ok(table.print("nothing happened to this job")?)
}

/// Why a job ended: what the server decided, or else what its runner reported in this result.
pub(super) fn why<'a>(ended: &'a Value, result: &'a Value) -> &'a str {
    let reason = text(ended, "reason");
    if reason == "-" { text(result, "error_message") } else { reason }
}
