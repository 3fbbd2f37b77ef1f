//! Which webhooks there are, which events each one wants, and whether they are delivered.

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
pub use queries::{active, counts, find, list};

/// A webhook. A deleted one has no row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// The webhook.
    pub id: WebhookId,
    /// The URL that events are delivered to.
    pub url: String,
    /// The types of event that it wants; all if empty.
    pub types: Vec<String>,
    /// The pipeline that it wants the events of; all events if `None`.
    pub pipeline_id: Option<PipelineId>,
    /// Most events in one delivery, sent as a batch; if `None`, each event is delivered by itself.
    pub batch_size: Option<u32>,
    /// Whether its events are delivered.
    pub status: WebhookStatus,
    /// Why they are not, while it is paused.
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
    /// Its events are delivered.
    Active,
    /// Deliveries stopped, until somebody resumes them.
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
