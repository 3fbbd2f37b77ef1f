//! `migrate`: the schema of the event log, for who gives the server no right to change it.

use rivet_events::database::Database;

use crate::config::DatabaseOptions;

#[expect(clippy::print_stderr, reason = "talk")]
pub(super) async fn run(options: DatabaseOptions) -> anyhow::Result<()> {
    let database = Database::connect(options.url.expose()).await?;
    database.migrate().await?;
    database.close().await;
    eprintln!("{} is up to date", options.url);
    Ok(())
}
