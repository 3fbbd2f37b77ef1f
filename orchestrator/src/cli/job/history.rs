//! `job events`: everything that happened to a job.

use crate::cli::client::{ClientOptions, Table, items, print_json, text, time};

/// Prints the history of a job, an event a line.
pub(super) async fn events(job: &str, options: &ClientOptions) -> anyhow::Result<()> {
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
