//! `rebuild`: builds read models anew from the log.

use clap::Args;
use clap::builder::PossibleValuesParser;
use rivet_projections::ReadModels;

use super::progress::ProgressReport;
use super::store::open_read_models;
use crate::config::DatabaseOptions;
use crate::telemetry::{self, LogOptions};

#[derive(Debug, Args)]
pub(super) struct RebuildOptions {
    /// Read models to rebuild [default: all of them]
    #[arg(value_name = "PROJECTION", value_parser = PossibleValuesParser::new(ReadModels::names()))]
    projections: Vec<String>,

    #[command(flatten)]
    database: DatabaseOptions,
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn run(options: RebuildOptions) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&LogOptions::warnings()).map_err(anyhow::Error::from_boxed)?;
    let read_models = open_read_models(&options.database).await?;
    let names: Vec<&str> = if options.projections.is_empty() {
        ReadModels::names().collect()
    } else {
        options.projections.iter().map(String::as_str).collect()
    };
    let report = ProgressReport::begin("rebuilding");
    let rebuilt = read_models.rebuild(&names, |progress| report.update(progress)).await;
    report.end();
    rebuilt?;
    eprintln!("rebuilt {}", names.join(", "));
    Ok(())
}
