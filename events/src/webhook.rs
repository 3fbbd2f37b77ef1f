//! Everything that can have happened to a webhook. What it is signed with is no event: events are for everybody.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::envelope::Position;
use crate::id::{PipelineId, WebhookId};

/// A fact about one webhook. Stream: `webhook/{webhook_id}`. Deliveries are none: each would be an event to deliver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum WebhookEvent {
    #[serde(rename = "webhook.created")]
    Created(WebhookCreated),
    #[serde(rename = "webhook.paused")]
    Paused(WebhookPaused),
    #[serde(rename = "webhook.resumed")]
    Resumed(WebhookResumed),
    #[serde(rename = "webhook.deleted")]
    Deleted(WebhookDeleted),
}

/// Somebody wants to be told of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookCreated {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Where to.
    pub url: String,
    /// Of which types; of any where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Of which pipeline, its jobs and their logs; of everything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<PipelineId>,
    /// Events of one delivery at most, as a batch; one by itself where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Deliveries were given up, until somebody resumes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookPaused {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Why.
    pub cause: PauseCause,
    /// What the last attempt came to.
    pub error: String,
    /// The event that could not be delivered, and is the first one after a resume.
    pub position: Position,
    /// When.
    pub paused_at: DateTime<Utc>,
}

/// Why deliveries were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// No attempt succeeded for too long.
    Failing,
    /// The receiver answered that it is gone for good.
    Gone,
    /// What it is signed with is lost: the log was restored without it.
    SecretMissing,
}

/// Deliveries go on where they were given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookResumed {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// When.
    pub resumed_at: DateTime<Utc>,
}

/// Nobody wants to be told any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDeleted {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// When.
    pub deleted_at: DateTime<Utc>,
}
