//! `pipeline create`, `apply` and `check`: what a Lua file makes of a pipeline.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

use super::{only_at, show};
use crate::cli::client::{Client, ClientOptions, ambiguity, pipelines_named, text};

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

/// Creates a pipeline, and says so on stderr if it is not the only one of its name.
#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn create(source: &Source, options: &ClientOptions) -> anyhow::Result<()> {
    let client = Client::new(options)?;
    let request = client.request(Method::POST, &["pipeline", "create"]).json(&source.body()?);
    let created = client.send(request).await?;
    show(&created, options)?;
    // It is created, whatever becomes of this question.
    let (name, same) = (text(&created, "name"), pipelines_named(&client, text(&created, "name")).await);
    if let Some(count) = same.ok().map(|same| same.len()).filter(|count| *count > 1) {
        eprintln!("{count} pipelines are named {name:?} now: give their ids");
    }
    Ok(())
}

/// Revises the one pipeline of that name, or else creates it, and says on stderr which.
#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn apply(source: &Source, options: &ClientOptions) -> anyhow::Result<()> {
    let client = Client::new(options)?;
    let body = source.body()?;
    let name = match &source.name {
        Some(name) => name.clone(),
        None => text(&definition(&client, &body).await?, "name").to_owned(),
    };
    let (request, before) = match &pipelines_named(&client, &name).await?[..] {
        [] => (client.request(Method::POST, &["pipeline", "create"]), None),
        [one] => {
            let request = client.request(Method::PUT, &["pipeline", text(one, "id")]);
            let version = one["version"].as_u64().unwrap_or_default();
            // Who else applies another file at the same time is told.
            (only_at(request, version), Some(version))
        }
        several => bail!(ambiguity("pipeline", several, &name)),
    };
    let applied = client.send(request.json(&body)).await?;
    match before {
        None => eprintln!("created pipeline {name:?}"),
        Some(before) if applied["version"] == before => eprintln!("pipeline {name:?} is unchanged"),
        Some(_) => eprintln!("revised pipeline {name:?}"),
    }
    show(&applied, options)
}

/// Shows what would be recorded.
pub(super) async fn check(source: &Source, options: &ClientOptions) -> anyhow::Result<()> {
    show(&definition(&Client::new(options)?, &source.body()?).await?, options)
}

/// What would be recorded of a pipeline.
async fn definition(client: &Client, body: &Value) -> anyhow::Result<Value> {
    client.send(client.request(Method::POST, &["pipeline", "check"]).json(body)).await
}

impl Source {
    /// The request that makes a pipeline of it.
    pub(super) fn body(&self) -> anyhow::Result<Value> {
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
