//! `migrate`: brings the schema of the event log up to date, for setups in which the server may not change it.

use rivet_events::database::Database;

use crate::config::DatabaseOptions;

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
pub(super) async fn run(options: DatabaseOptions) -> anyhow::Result<()> {
    let database = Database::connect(options.url.expose()).await?;
    database.migrate().await?;
    database.close().await;
    eprintln!("{} is up to date", options.url);
    Ok(())
}
