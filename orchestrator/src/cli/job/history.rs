//! `job events`: everything that happened to a job.

use serde_json::Value;

use super::show::why;
use crate::cli::client::{ClientOptions, Table, items, print_json, text, time};

/// Prints the history of a job, an event a line.
pub(super) async fn events(job: &str, options: &ClientOptions) -> anyhow::Result<()> {
    let (client, id) = options.job(job).await?;
    let history = client.get(&["jobs", &id, "events"], &[("states", "true")]).await?;
    if options.json {
        return print_json(&history);
    }
    let columns = ["position", "time", "event", "status", "attempt", "by", "why"];
    let mut table = Table::new(&columns);
    for event in items(&history["events"]) {
        let (position, recorded) = (event["position"].to_string(), time(&event["recorded_at"]));
        let payload = &event["payload"];
        let attempt =
            payload["attempt"].as_u64().map_or_else(|| "-".to_owned(), |attempt| attempt.to_string());
        table.row([
            position.as_str(),
            &recorded,
            text(event, "type"),
            text(&event["state"], "status"),
            &attempt,
            &actor(&event["metadata"]),
            &cause(payload),
        ]);
    }
    Ok(table.print("nothing happened to this job")?)
}

/// Who caused an event: a runner or a process of the server by its name, and others by their program.
fn actor(metadata: &Value) -> String {
    match text(metadata, "actor") {
        "client" => format!("client {}", text(metadata, "user_agent")),
        actor => actor.to_owned(),
    }
}

/// Why an event happened: a word for the cause, and what the server or the runner said of it.
fn cause(payload: &Value) -> String {
    let said = [text(payload, "cause"), why(payload, &payload["result"])];
    let known: Vec<&str> = said.into_iter().filter(|text| *text != "-").collect();
    if known.is_empty() { "-".to_owned() } else { known.join(": ") }
}
