//! How far each webhook has been delivered, and what it is signed with: kept aside from the log.

use std::fmt;

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::database::{Database, Durability};
use crate::envelope::Position;
use crate::id::WebhookId;
use crate::log::StoreError;

/// The deliveries of webhooks, in a table of the log's database.
#[derive(Debug, Clone)]
pub struct Deliveries(Database);

/// The key of a webhook's signatures, which no text form shows.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// The key as it was given: for signing and storing alone.
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

/// What is kept of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The key of its signatures.
    pub secret: WebhookSecret,
    /// Every event up to here was delivered, or is not wanted.
    pub position: Position,
    /// JSON, as it was saved.
    pub progress: String,
}

/// Runs the same text on either database. In SQLite it is synced with the log: a webhook is on the disk when the event
/// of its creation is, which is written after it.
macro_rules! execute {
    ($database:expr, $text:literal $(, $value:expr)*) => {
        match $database {
            Database::Postgres(pool) => {
                sqlx::query($text)$(.bind($value))*.execute(pool).await?;
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
    /// Those that are kept in `database`.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self(database.clone())
    }

    /// Begins with a webhook, whose deliveries are to begin after `position`.
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
            number(position),
            progress
        );
        Ok(())
    }

    /// What is kept of a webhook.
    pub async fn find(&self, webhook: WebhookId) -> Result<Option<Delivery>, StoreError> {
        const TEXT: &str = "select secret, position, progress from webhook_deliveries where webhook_id = $1";
        let id = webhook.to_string();
        let row: Option<(String, i64, String)> = match &self.0 {
            Database::Postgres(pool) => sqlx::query_as(TEXT).bind(id).fetch_optional(pool).await?,
            Database::Sqlite(sqlite) => sqlx::query_as(TEXT).bind(id).fetch_optional(&sqlite.readers).await?,
        };
        Ok(row.map(|(secret, position, progress)| Delivery {
            secret: secret.into(),
            position: Position(position.unsigned_abs()),
            progress,
        }))
    }

    /// Every webhook of which something is kept.
    pub async fn all(&self) -> Result<Vec<WebhookId>, StoreError> {
        const TEXT: &str = "select webhook_id from webhook_deliveries";
        let ids: Vec<String> = match &self.0 {
            Database::Postgres(pool) => sqlx::query_scalar(TEXT).fetch_all(pool).await?,
            Database::Sqlite(sqlite) => sqlx::query_scalar(TEXT).fetch_all(&sqlite.readers).await?,
        };
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Saves how far a webhook has come. A process that is behind another one changes nothing.
    pub async fn save(
        &self,
        webhook: WebhookId,
        position: Position,
        progress: &str,
    ) -> Result<(), StoreError> {
        execute!(
            &self.0,
            "update webhook_deliveries set position = $1, progress = $2 where webhook_id = $3 and position <= $1",
            number(position),
            progress,
            webhook.to_string()
        );
        Ok(())
    }

    /// Forgets a webhook, its secret with it.
    pub async fn forget(&self, webhook: WebhookId) -> Result<(), StoreError> {
        execute!(&self.0, "delete from webhook_deliveries where webhook_id = $1", webhook.to_string());
        Ok(())
    }
}

fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
