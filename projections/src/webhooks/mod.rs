//! Which webhooks there are, what each is told of, and whether it is delivered.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use rivet_events::id::{PipelineId, WebhookId};
use rivet_events::webhook::WebhookPaused;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use fold::Webhooks;
pub use queries::{active, find, list};

/// A webhook. A deleted one has no row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// The webhook.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// Of which types of event; of any where there are none.
    pub types: Vec<String>,
    /// Of which pipeline; of everything where there is none.
    pub pipeline_id: Option<PipelineId>,
    /// Events of one delivery at most, as a batch; one by itself where there is none.
    pub batch_size: Option<u32>,
    /// Whether its events are delivered.
    pub status: WebhookStatus,
    /// Why not, where they are not.
    pub paused: Option<WebhookPaused>,
    /// When it was created.
    #[serde(with = "ts_microseconds")]
    pub created_at: DateTime<Utc>,
    /// When deliveries were last resumed.
    #[serde(with = "ts_microseconds_option")]
    pub resumed_at: Option<DateTime<Utc>>,
}

/// Whether a webhook's events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    /// They are.
    Active,
    /// They were given up.
    Paused,
}

impl WebhookStatus {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}
