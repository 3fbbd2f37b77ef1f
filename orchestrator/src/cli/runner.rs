//! `runner`: the reference runner.

use clap::Args;

use super::signals::EndSignals;
use crate::runner;
use crate::telemetry::{self, LogOptions};

#[derive(Debug, Args)]
pub(super) struct RunnerCommand {
    #[command(flatten)]
    runner: runner::RunnerOptions,

    #[command(flatten)]
    log: LogOptions,
}

pub(super) async fn run(options: RunnerCommand) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&options.log).map_err(anyhow::Error::from_boxed)?;
    let mut signals = EndSignals::listen()?;
    runner::run(options.runner, async move {
        signals.next().await;
    })
    .await
}
