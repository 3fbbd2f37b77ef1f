//! Opens the database of a server, for a command that may run beside it.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use rivet_events::database::Database;
use rivet_events::log::{self, EventLog, LogSettings};
use rivet_events::segments::{Archive, Objects};
use rivet_projections::ReadModels;

use crate::config::DatabaseOptions;

/// The event log. A database that does not exist yet is an error, since it would be empty; so is one whose schema is
/// of another build.
pub(super) async fn open_log(options: &DatabaseOptions) -> anyhow::Result<Arc<dyn EventLog>> {
    let database = open_database(options).await?;
    open_log_of(&database, options).await
}

async fn open_log_of(database: &Database, options: &DatabaseOptions) -> anyhow::Result<Arc<dyn EventLog>> {
    let objects = options.archive_url().map(|url| Objects::open(&url)).transpose();
    let objects =
        objects.map_err(|error| anyhow::Error::from_boxed(error).context("cannot use the archive"))?;
    let archive = Archive::new(database, objects);
    Ok(log::open_with(database, LogSettings::default(), Some(archive), Arc::new(())).await?)
}

/// The read models.
pub(super) async fn open_read_models(options: &DatabaseOptions) -> anyhow::Result<ReadModels> {
    let (_, read_models, _) = open_all(options).await?;
    Ok(read_models)
}

/// The read models and the event log, with the database that holds them.
pub(super) async fn open_all(
    options: &DatabaseOptions,
) -> anyhow::Result<(Database, ReadModels, Arc<dyn EventLog>)> {
    let database = open_database(options).await?;
    let log = open_log_of(&database, options).await?;
    let read_models = ReadModels::open(database.clone(), Arc::clone(&log))
        .await
        .map_err(|error| anyhow::Error::from_boxed(error).context("cannot open the read models"))?;
    Ok((database, read_models, log))
}

async fn open_database(options: &DatabaseOptions) -> anyhow::Result<Database> {
    if let Some(file) = options.url.sqlite_file() {
        // Opening an empty file would write to it.
        let is_there = Path::new(&*file).metadata().is_ok_and(|metadata| metadata.len() > 0);
        ensure!(is_there, "there is no database {file}");
    }
    let database = Database::connect(options.url.expose()).await?;
    database.check_schema().await?;
    Ok(database)
}
