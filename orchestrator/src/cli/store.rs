//! Opens what a running server keeps, for a command beside it.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use rivet_events::database::Database;
use rivet_events::log::{self, EventLog, LogSettings};
use rivet_projections::ReadModels;

use crate::config::DatabaseOptions;

/// The event log. A database that is not there yet is an error: it would be empty.
pub(super) async fn open_log(options: &DatabaseOptions) -> anyhow::Result<Arc<dyn EventLog>> {
    let database = open_database(options).await?;
    Ok(log::open(&database, LogSettings::default()).await?)
}

/// The read models, and the event log under them.
pub(super) async fn open_read_models(
    options: &DatabaseOptions,
) -> anyhow::Result<(ReadModels, Arc<dyn EventLog>)> {
    let database = open_database(options).await?;
    let log = log::open(&database, LogSettings::default()).await?;
    let read_models = ReadModels::open(database, Arc::clone(&log))
        .await
        .map_err(|error| anyhow::Error::from_boxed(error).context("cannot open the read models"))?;
    Ok((read_models, log))
}

async fn open_database(options: &DatabaseOptions) -> anyhow::Result<Database> {
    if let Some(file) = options.url.sqlite_file() {
        ensure!(Path::new(file).exists(), "there is no database {file}");
    }
    Ok(Database::connect(options.url.expose()).await?)
}
