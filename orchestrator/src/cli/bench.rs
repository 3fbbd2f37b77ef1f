//! `bench`: loads a running server with whole lives of jobs, and reports what it can take.

mod progress;
mod table;

use std::io;

use anyhow::{Context, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use self::progress::ProgressReport;
use super::output::{unless_closed, write_json};
use super::serve::raise_file_limit;
use super::signals::EndSignals;
use crate::bench::report::Report;
use crate::bench::{self, BenchOptions};

#[derive(Debug, Args)]
pub(super) struct BenchCommand {
    #[command(flatten)]
    bench: BenchOptions,

    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: BenchCommand) -> anyhow::Result<()> {
    // Each worker, poller and follower has a connection of its own.
    raise_file_limit();
    let mut signals = EndSignals::listen()?;
    let stop = CancellationToken::new();
    let load = {
        let (options, stop) = (command.bench, stop.clone());
        let mut progress = ProgressReport::begin();
        tokio::task::spawn_blocking(move || bench::run(options, move |at| progress.update(at), &stop))
    };
    let ended = tokio::select! {
        ended = load => ended,
        result = interrupt(&mut signals, &stop) => return result,
    };
    let report = ended.context("the load broke off")??;
    let mut out = io::stdout().lock();
    unless_closed(if command.json {
        write_json(&mut out, &report)
    } else {
        table::write(&mut out, &report)
    })?;
    verdict(&report)
}

/// The first signal ends the load, and its report is still printed; a second one ends everything at once.
async fn interrupt(signals: &mut EndSignals, stop: &CancellationToken) -> anyhow::Result<()> {
    signals.next().await;
    stop.cancel();
    signals.next().await;
    bail!("interrupted; the pipeline and the runners of this run are still there")
}

fn verdict(report: &Report) -> anyhow::Result<()> {
    if report.is_clean() {
        return Ok(());
    }
    let errors: u64 = report.errors.values().sum();
    bail!("{errors} errors, {} stale reads, {} missed events", report.stale_reads, report.missed())
}
