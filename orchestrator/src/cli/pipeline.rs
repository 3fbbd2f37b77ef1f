//! `pipeline …`: commands about the pipelines of a server.

mod define;
mod launch;
mod versions;

use std::io::{self, Write};

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use reqwest::header::IF_MATCH;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use self::define::Source;
use self::launch::LaunchOptions;
use super::client::{
    Client, ClientOptions, Moment, Table, find_pipeline, items, print_json, shown, text, time,
};
use super::output::{one_line, printable};

#[derive(Debug, Args)]
pub(super) struct PipelineCommand {
    #[command(subcommand)]
    subcommand: PipelineSubcommand,

    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Subcommand)]
enum PipelineSubcommand {
    /// Create a pipeline from a Lua file
    Create {
        #[command(flatten)]
        source: Source,
    },
    /// Revise the pipeline that has the name of a Lua file, or create it if there is none
    Apply {
        #[command(flatten)]
        source: Source,
    },
    /// Check a Lua file: show what would be recorded of it, or why it would be refused
    Check {
        #[command(flatten)]
        source: Source,
    },
    /// Make a Lua file the next version of a pipeline
    Revise {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        condition: Condition,
    },
    /// List pipelines, newest first
    List {
        /// List at most so many, 1 to 1000
        #[arg(
            long,
            value_name = "COUNT",
            default_value = "50",
            value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000)
        )]
        limit: usize,
        #[command(flatten)]
        moment: Moment,
    },
    /// Show a pipeline, and its script
    Get {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// List the versions of a pipeline, newest first
    Versions {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
    },
    /// Show what differs between two versions
    Diff {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        /// The older version [default: the one before the newer]
        #[arg(long, value_name = "VERSION")]
        from: Option<u32>,
        /// The newer version [default: the newest]
        #[arg(long, value_name = "VERSION")]
        to: Option<u32>,
    },
    /// Roll a pipeline back: record an earlier version as the next one
    Rollback {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        /// The earlier version
        version: u32,
        #[command(flatten)]
        condition: Condition,
    },
    /// Delete a pipeline: its waiting jobs are cancelled, its history stays
    Delete {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        #[command(flatten)]
        condition: Condition,
    },
    /// Launch a job of a pipeline
    Launch(LaunchOptions),
}

impl PipelineCommand {
    /// Checks options against each other; the error says which of them contradict.
    pub(super) fn check(&self) -> Result<(), String> {
        if let PipelineSubcommand::Launch(launch) = &self.subcommand { launch.check() } else { Ok(()) }
    }
}

/// Which version must be the current one.
#[derive(Debug, Args)]
struct Condition {
    /// Only if nobody else has made a later version than this
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u32>,
}

impl Condition {
    /// The request, made under the condition.
    fn of(&self, request: RequestBuilder) -> RequestBuilder {
        match self.if_version {
            Some(version) => only_at(request, version.into()),
            None => request,
        }
    }
}

/// The request, made under the condition that this is the current version.
fn only_at(request: RequestBuilder, version: u64) -> RequestBuilder {
    request.header(IF_MATCH, format!("\"{version}\""))
}

pub(super) async fn run(
    PipelineCommand { subcommand, client: options }: PipelineCommand,
) -> anyhow::Result<()> {
    match subcommand {
        PipelineSubcommand::Create { source } => define::create(&source, &options).await,
        PipelineSubcommand::Apply { source } => define::apply(&source, &options).await,
        PipelineSubcommand::Check { source } => define::check(&source, &options).await,
        PipelineSubcommand::Revise { pipeline, source, condition } => {
            let (client, id) = options.pipeline(&pipeline).await?;
            let request = client.request(Method::PUT, &["pipeline", &id]).json(&source.body()?);
            show(&client.send(condition.of(request)).await?, &options)
        }
        PipelineSubcommand::List { limit, moment } => list(limit, &moment, &options).await,
        PipelineSubcommand::Get { pipeline, moment } => {
            let client = Client::new(&options)?;
            let id = find_pipeline(&client, &pipeline, &moment).await?;
            let pipeline = client.get(&["pipeline", &id], moment.query().as_slice()).await?;
            show(&pipeline, &options)?;
            if !options.json {
                print_lines(&format!("\n{}", text(&pipeline, "script").trim_end()))?;
            }
            Ok(())
        }
        PipelineSubcommand::Versions { pipeline } => versions::list(&pipeline, &options).await,
        PipelineSubcommand::Diff { pipeline, from, to } => {
            versions::diff(&pipeline, from, to, &options).await
        }
        PipelineSubcommand::Rollback { pipeline, version, condition } => {
            let (client, id) = options.pipeline(&pipeline).await?;
            let request = client.request(Method::POST, &["pipeline", &id, "rollback"]);
            let request = condition.of(request.json(&json!({"version": version})));
            show(&client.send(request).await?, &options)
        }
        PipelineSubcommand::Delete { pipeline, condition } => {
            let (client, id) = options.pipeline(&pipeline).await?;
            client.send(condition.of(client.request(Method::DELETE, &["pipeline", &id]))).await?;
            Ok(())
        }
        PipelineSubcommand::Launch(launch) => launch::run(launch, &options).await,
    }
}

/// Prints one pipeline, a line for each member.
fn show(pipeline: &Value, options: &ClientOptions) -> anyhow::Result<()> {
    if options.json {
        return print_json(pipeline);
    }
    let demands: Vec<&str> = items(&pipeline["demands"]).iter().filter_map(Value::as_str).collect();
    let demands = if demands.is_empty() { "-".to_owned() } else { demands.join(", ") };
    let lines = [
        ("id", "id", text(pipeline, "id")),
        ("name", "name", text(pipeline, "name")),
        ("version", "version", &pipeline["version"].to_string()),
        ("description", "description", text(pipeline, "description")),
        ("created", "created_at", &time(&pipeline["created_at"])),
        ("updated", "updated_at", &time(&pipeline["updated_at"])),
        ("demands", "demands", &demands),
    ];
    let mut out = io::stdout().lock();
    // What is only checked has no id, no version and no times.
    for (name, _, value) in lines.into_iter().filter(|(_, member, _)| pipeline.get(member).is_some()) {
        writeln!(out, "{name:<11}  {}", one_line(value))?;
    }
    Ok(())
}

/// Prints a text as its author wrote it, but without what could control the terminal.
fn print_lines(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for line in text.lines() {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(())
}

async fn list(limit: usize, moment: &Moment, options: &ClientOptions) -> anyhow::Result<()> {
    let client = Client::new(options)?;
    let list = client.list(&["pipeline", "list"], moment.query().as_slice(), limit).await?;
    if options.json {
        return print_json(&list);
    }
    let mut table = Table::new(&["id", "name", "version", "updated", "description"]);
    for (pipeline, id) in items(&list).iter().zip(shown(&list)) {
        let version = pipeline["version"].to_string();
        let updated = time(&pipeline["updated_at"]);
        table.row([id, text(pipeline, "name"), &version, &updated, text(pipeline, "description")]);
    }
    Ok(table.print("there are no pipelines")?)
}
