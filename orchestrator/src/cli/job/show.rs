//! A job as it is printed: its members, what it waits for, and why it ended.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::client::{Client, ClientOptions, Moment, items, print_json, text, time};
use crate::cli::output::one_line;

/// Prints one job as it is, or was, at this moment, a line for each member.
pub(in crate::cli) async fn show(
    client: &Client,
    job: &Value,
    moment: &Moment,
    options: &ClientOptions,
) -> anyhow::Result<()> {
    if options.json {
        return print_json(job);
    }
    let id = text(job, "pipeline_id");
    let pipeline = match pipeline_name(client, id, moment).await {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    };
    print(job, &pipeline)
}

/// The name of a pipeline at this moment; of one that is deleted, its last.
pub(super) async fn pipeline_name(client: &Client, id: &str, moment: &Moment) -> Option<String> {
    if let Ok(pipeline) = client.get(&["pipeline", id], moment.query().as_slice()).await {
        return Some(text(&pipeline, "name").to_owned());
    }
    let versions = client.get(&["pipeline", id, "versions"], &[("limit", "1")]).await.ok()?;
    Some(text(items(&versions).first()?, "name").to_owned())
}

fn print(job: &Value, pipeline: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let mut line = |member: &str, value: &str| writeln!(out, "{member:<10}  {}", one_line(value));
    line("id", text(job, "id"))?;
    line("pipeline", &format!("{pipeline} version {}", job["pipeline_version"]))?;
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
pub(in crate::cli) fn waiting(waiting: &Value) -> String {
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

/// Why a job ended: what the server decided, or else what its runner reported in this result.
pub(in crate::cli) fn why<'a>(ended: &'a Value, result: &'a Value) -> &'a str {
    let reason = text(ended, "reason");
    if reason == "-" { text(result, "error_message") } else { reason }
}
