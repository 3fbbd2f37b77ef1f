//! `pipeline versions` and `pipeline diff`: the versions of a pipeline, and what differs between two of them.

use std::io::{self, Write};

use super::print_lines;
use crate::cli::client::{ClientOptions, Table, items, print_json, text, time};

/// Lists the versions, newest first.
pub(super) async fn list(pipeline: &str, options: &ClientOptions) -> anyhow::Result<()> {
    let (client, id) = options.pipeline(pipeline).await?;
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

/// Shows what differs between two versions.
pub(super) async fn diff(
    pipeline: &str,
    from: Option<u32>,
    to: Option<u32>,
    options: &ClientOptions,
) -> anyhow::Result<()> {
    let (client, id) = options.pipeline(pipeline).await?;
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
