//! `pipeline …`: commands about the pipelines of a server.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientOptions, Table, find_pipeline, items, print_json, shown, text, time};
use super::job;
use super::output::{one_line, printable};

#[derive(Debug, Subcommand)]
pub(super) enum PipelineSubcommand {
    /// Create a pipeline from a Lua file
    Create {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Make a Lua file the next version of a pipeline
    Revise {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// List pipelines, newest first
    List {
        /// List at most so many, 1 to 1000
        #[arg(long, value_name = "COUNT", default_value = "50", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
        limit: usize,
        /// Show them as they were at a position of the log or a time
        #[arg(long, value_name = "MOMENT")]
        at: Option<String>,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Show a pipeline, and its script
    Get {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        /// Show it as it was at a position of the log or a time
        #[arg(long, value_name = "MOMENT")]
        at: Option<String>,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// List the versions of a pipeline, newest first
    Versions {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        #[command(flatten)]
        client: ClientOptions,
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
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Roll a pipeline back: record an earlier version as the next one
    Rollback {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        /// The earlier version
        version: u32,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Delete a pipeline: its waiting jobs are cancelled, its history stays
    Delete {
        /// Id of the pipeline, the beginning of it, or its name
        pipeline: String,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Launch a job of a pipeline
    Launch(LaunchOptions),
}

/// A script, and what its pipeline is called.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// The Lua file; - is standard input
    file: PathBuf,
    /// Name of the pipeline; without one the script must be a definition, which has one
    #[arg(long)]
    name: Option<String>,
    /// Description of the pipeline [default: what the script says]
    #[arg(long)]
    description: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct LaunchOptions {
    /// Id of the pipeline, the beginning of it, or its name
    pipeline: String,
    /// Value of an input: JSON where it begins with {, [ or ", and else a text, which the server converts where the
    /// input is declared as a number or a bool. May be repeated, for other inputs
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, Value)>,
    /// 0 (last) to 9 (first) [default: what the pipeline says, or 5]
    #[arg(long)]
    priority: Option<u8>,
    /// Launch once, however often this command is repeated with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print the log of the job until it has ended; exit code 1 unless it succeeds
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    client: ClientOptions,
}

fn parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    // What a text means depends on the declared input: a version 1.10 is no number, and a branch may be called 123.
    let value = if value.starts_with(['{', '[', '"']) {
        serde_json::from_str(value).map_err(|error| format!("the value is not JSON: {error}"))?
    } else {
        Value::from(value)
    };
    Ok((name.to_owned(), value))
}

pub(super) async fn run(command: PipelineSubcommand) -> anyhow::Result<()> {
    match command {
        PipelineSubcommand::Create { source, client: options } => {
            let client = Client::new(&options)?;
            let request = client.request(Method::POST, &["pipeline", "create"]).json(&source.body()?);
            show(&client.send(request).await?, &options)
        }
        PipelineSubcommand::Revise { pipeline, source, client: options } => {
            let client = Client::new(&options)?;
            let id = find_pipeline(&client, &pipeline).await?;
            let request = client.request(Method::PUT, &["pipeline", &id]).json(&source.body()?);
            show(&client.send(request).await?, &options)
        }
        PipelineSubcommand::List { limit, at, client } => list(limit, at, &client).await,
        PipelineSubcommand::Get { pipeline, at, client: options } => {
            let client = Client::new(&options)?;
            let id = find_pipeline(&client, &pipeline).await?;
            let at: Vec<(&str, &str)> = at.iter().map(|at| ("at", at.as_str())).collect();
            let pipeline = client.get(&["pipeline", &id], &at).await?;
            show(&pipeline, &options)?;
            if !options.json {
                print_lines(&format!("\n{}", text(&pipeline, "script").trim_end()))?;
            }
            Ok(())
        }
        PipelineSubcommand::Versions { pipeline, client } => versions(&pipeline, &client).await,
        PipelineSubcommand::Diff { pipeline, from, to, client } => diff(&pipeline, from, to, &client).await,
        PipelineSubcommand::Rollback { pipeline, version, client: options } => {
            let client = Client::new(&options)?;
            let id = find_pipeline(&client, &pipeline).await?;
            let request = client.request(Method::POST, &["pipeline", &id, "rollback"]);
            show(&client.send(request.json(&json!({"version": version}))).await?, &options)
        }
        PipelineSubcommand::Delete { pipeline, client: options } => {
            let client = Client::new(&options)?;
            let id = find_pipeline(&client, &pipeline).await?;
            client.send(client.request(Method::DELETE, &["pipeline", &id])).await?;
            Ok(())
        }
        PipelineSubcommand::Launch(options) => launch(options).await,
    }
}

impl Source {
    fn body(&self) -> anyhow::Result<Value> {
        let mut body = Map::new();
        body.insert("script".to_owned(), read(&self.file)?.into());
        let said = [("name", &self.name), ("description", &self.description)];
        body.extend(
            said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))),
        );
        Ok(Value::Object(body))
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// Prints one pipeline, a line for each member.
fn show(pipeline: &Value, options: &ClientOptions) -> anyhow::Result<()> {
    if options.json {
        return print_json(pipeline);
    }
    let demands: Vec<&str> = items(&pipeline["demands"]).iter().filter_map(Value::as_str).collect();
    let mut out = io::stdout().lock();
    let mut line = |member: &str, value: &str| writeln!(out, "{member:<11}  {}", one_line(value));
    line("id", text(pipeline, "id"))?;
    line("name", text(pipeline, "name"))?;
    line("version", &pipeline["version"].to_string())?;
    line("description", text(pipeline, "description"))?;
    line("created", &time(&pipeline["created_at"]))?;
    line("updated", &time(&pipeline["updated_at"]))?;
    line("demands", &if demands.is_empty() { "-".to_owned() } else { demands.join(", ") })?;
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

async fn list(limit: usize, at: Option<String>, options: &ClientOptions) -> anyhow::Result<()> {
    let at: Vec<(&str, &str)> = at.iter().map(|at| ("at", at.as_str())).collect();
    let client = Client::new(options)?;
    let list = client.list(&["pipeline", "list"], &at, limit).await?;
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

async fn versions(pipeline: &str, options: &ClientOptions) -> anyhow::Result<()> {
    let client = Client::new(options)?;
    let id = find_pipeline(&client, pipeline).await?;
    let list = client.list(&["pipeline", &id, "versions"], &[], usize::MAX).await?;
    if options.json {
        return print_json(&list);
    }
    let mut table = Table::new(&["version", "name", "created", "by", "current", "restores"]);
    for version in items(&list) {
        let current = if version["current"] == true { "yes" } else { "" };
        let restores = version["restores"].as_u64().map_or_else(String::new, |number| number.to_string());
        let (number, created) = (version["version"].to_string(), time(&version["created_at"]));
        table.row([&number, text(version, "name"), &created, text(version, "actor"), current, &restores]);
    }
    Ok(table.print("there are no versions")?)
}

async fn diff(
    pipeline: &str,
    from: Option<u32>,
    to: Option<u32>,
    options: &ClientOptions,
) -> anyhow::Result<()> {
    let client = Client::new(options)?;
    let id = find_pipeline(&client, pipeline).await?;
    let ends = [("from", from), ("to", to)].map(|(name, end)| Some((name, end?.to_string())));
    let query: Vec<(&str, &str)> = ends.iter().flatten().map(|(name, end)| (*name, end.as_str())).collect();
    let diff = client.get(&["pipeline", &id, "diff"], &query).await?;
    if options.json {
        return print_json(&diff);
    }
    let mut out = io::stdout().lock();
    for change in items(&diff["settings"]) {
        writeln!(out, "{}: {} -> {}", text(change, "setting"), change["from"], change["to"])?;
    }
    drop(out);
    print_lines(diff["script"].as_str().unwrap_or_default())
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
async fn launch(options: LaunchOptions) -> anyhow::Result<()> {
    let mut parameters = Map::new();
    for (name, value) in options.parameters {
        ensure!(!parameters.contains_key(&name), "the parameter {name} is given more than once");
        parameters.insert(name, value);
    }
    let client = Client::new(&options.client)?;
    let id = find_pipeline(&client, &options.pipeline).await?;
    let mut body = json!({"pipeline_id": id, "parameters": parameters});
    if let Some(priority) = options.priority {
        body["priority"] = priority.into();
    }
    let mut request = client.request(Method::POST, &["pipeline", "launch"]).json(&body);
    if let Some(key) = &options.key {
        request = request.header("Idempotency-Key", key);
    }
    let launched = client.send(request).await?;
    if options.follow {
        eprintln!("job {}", text(&launched, "id"));
        return job::follow_to_success(&client, text(&launched, "id"), options.client.json).await;
    }
    job::show(&launched, &options.client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_text_unless_it_looks_like_nothing_but_json() {
        let value = |text: &str| parameter(text).map(|(_, value)| value);
        for text in ["main", "1.10", "123456789012345678901234567890", "true", "null", "a=b", ""] {
            assert_eq!(value(&format!("name={text}")), Ok(json!(text)));
        }
        assert_eq!(value("list=[1, 2.5]"), Ok(json!([1, 2.5])));
        assert_eq!(value("map={\"a\": null}"), Ok(json!({"a": null})));
        assert_eq!(value("text=\"7\""), Ok(json!("7")));
        assert_eq!(value("text=\"[wip] x\""), Ok(json!("[wip] x")));
        for text in ["branch", "=1", "s={bad", "s=[wip] x", "s=\"open", "s={} x"] {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
