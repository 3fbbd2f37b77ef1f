//! The delivery progress and the secret of each webhook, kept in a table beside the log: a secret must not be in an
//! event, and a delivery would be an event to deliver.

use std::fmt;

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::database::{Database, Durability, fetch};
use crate::envelope::Position;
use crate::id::WebhookId;
use crate::log::StoreError;

/// The table of deliveries, a row for each webhook.
#[derive(Debug, Clone)]
pub struct Deliveries(Database);

/// The key that signs a webhook's deliveries. It is never shown: `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// The key as it was given, only for signing and storing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for WebhookSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The row of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The key that signs its deliveries.
    pub secret: WebhookSecret,
    /// Every event up to here was delivered, or is not wanted.
    pub position: Position,
    /// JSON, as it was last saved.
    pub progress: String,
}

/// Executes the same SQL on either database. In SQLite the commit is synced to disk only with the next append to the
/// log. That is enough: the event that creates a webhook is appended after its row, so the row is on disk when the
/// event is.
macro_rules! execute {
    ($database:expr, $text:literal $(, $value:expr)*) => {
        match $database {
            Database::Postgres(postgres) => {
                postgres.answer(sqlx::query($text)$(.bind($value))*.execute(&postgres.pool)).await?;
            }
            Database::Sqlite(sqlite) => {
                let mut args = SqliteArguments::default();
                $(args.add($value)?;)*
                sqlite.transact(Durability::Derived, $text, args).await?;
            }
        }
    };
}

impl Deliveries {
    /// The deliveries in `database`.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self(database.clone())
    }

    /// Inserts a webhook whose deliveries begin after `position`.
    pub async fn begin(
        &self,
        webhook: WebhookId,
        secret: &WebhookSecret,
        position: Position,
        progress: &str,
    ) -> Result<(), StoreError> {
        execute!(
            &self.0,
            "insert into webhook_deliveries (webhook_id, secret, position, progress) values ($1, $2, $3, $4)",
            webhook.to_string(),
            secret.expose(),
            position.to_sql(),
            progress
        );
        Ok(())
    }

    /// The row of a webhook, if there is one.
    pub async fn find(&self, webhook: WebhookId) -> Result<Option<Delivery>, StoreError> {
        const TEXT: &str = "select secret, position, progress from webhook_deliveries where webhook_id = $1";
        let id = webhook.to_string();
        let row: Option<(String, i64, String)> =
            fetch!(&self.0, fetch_optional, sqlx::query_as(TEXT).bind(id))?;
        Ok(row.map(|(secret, position, progress)| Delivery {
            secret: secret.into(),
            position: Position::from_sql(position),
            progress,
        }))
    }

    /// All webhooks that have a row.
    pub async fn all(&self) -> Result<Vec<WebhookId>, StoreError> {
        const TEXT: &str = "select webhook_id from webhook_deliveries";
        let ids: Vec<String> = fetch!(&self.0, fetch_all, sqlx::query_scalar(TEXT))?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Saves how far a webhook has been delivered. Changes nothing if another process has already saved a later
    /// position.
    pub async fn save(
        &self,
        webhook: WebhookId,
        position: Position,
        progress: &str,
    ) -> Result<(), StoreError> {
        execute!(
            &self.0,
            "update webhook_deliveries set position = $1, progress = $2 where webhook_id = $3 and position <= $1",
            position.to_sql(),
            progress,
            webhook.to_string()
        );
        Ok(())
    }

    /// Deletes the row of a webhook, and its secret with it.
    pub async fn delete(&self, webhook: WebhookId) -> Result<(), StoreError> {
        execute!(&self.0, "delete from webhook_deliveries where webhook_id = $1", webhook.to_string());
        Ok(())
    }
}
