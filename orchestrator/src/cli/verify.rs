//! `verify`: checks that the log is complete, and that every read model is what the log says.

use std::io::{self, Write};

use anyhow::bail;
use clap::Args;
use rivet_projections::verify::Report;

use super::output::{unless_closed, write_json};
use super::progress::ProgressReport;
use super::store::open_read_models;
use crate::config::DatabaseOptions;
use crate::telemetry::{self, LogOptions};

#[derive(Debug, Args)]
pub(super) struct VerifyOptions {
    /// Print the whole report as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn run(options: VerifyOptions) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&LogOptions::warnings()).map_err(anyhow::Error::from_boxed)?;
    let read_models = open_read_models(&options.database).await?;
    let progress = ProgressReport::begin("verifying");
    let report = read_models.verify(|batch| progress.update(batch)).await;
    progress.end();
    let report = report?;
    let mut out = io::stdout().lock();
    unless_closed(if options.json { write_json(&mut out, &report) } else { print(&mut out, &report) })?;
    if report.position < report.head {
        eprintln!(
            "the log was checked up to position {}; the read models have not seen the events after {} yet",
            report.head, report.position
        );
    }
    for outdated in &report.outdated {
        eprintln!(
            "{outdated} is not of this build's version, and was not compared: serve or rebuild makes it anew"
        );
    }
    if report.is_clean() {
        return Ok(());
    }
    let found = [
        (report.ahead.len(), "read models ahead of the log"),
        (report.log_faults.len(), "faults in the log"),
        (report.unreadable_events.len(), "events that cannot be read"),
        (report.parking_faults.len(), "streams or events that are wrongly parked or skipped"),
        (report.differences.len(), "rows that differ from the log"),
    ];
    let found = found.iter().filter(|(number, _)| *number > 0);
    let found: Vec<String> = found.map(|(number, what)| format!("{number} {what}")).collect();
    bail!("found {}", found.join(", "))
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for ahead in &report.ahead {
        writeln!(
            out,
            "{ahead} is ahead of the log, as after an older one was restored: a server rebuilds it at its start"
        )?;
    }
    for fault in &report.log_faults {
        writeln!(out, "log: {fault}")?;
    }
    for event in &report.unreadable_events {
        writeln!(out, "event: {event}")?;
    }
    for fault in &report.parking_faults {
        writeln!(out, "parking: {fault}")?;
    }
    for difference in &report.differences {
        writeln!(out, "{} {}", difference.projection, difference.key)?;
        for column in &difference.columns {
            writeln!(out, "    column {column}")?;
        }
        if difference.columns.is_empty() {
            writeln!(out, "    live:     {}", difference.live.as_deref().unwrap_or("no row"))?;
            writeln!(out, "    expected: {}", difference.expected.as_deref().unwrap_or("no row"))?;
        }
    }
    writeln!(out, "verified {} rows against the log up to position {}", report.rows, report.position)
}
