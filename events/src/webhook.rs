//! The events of a webhook. The secret that signs its deliveries is in none of them, since everybody can read events.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::envelope::Position;
use crate::id::{PipelineId, WebhookId};

/// A fact about one webhook. Stream: `webhook/{webhook_id}`. A delivery is not an event: it would have to be
/// delivered in turn.
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

/// The webhook was created: from here on, events are delivered to its URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookCreated {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The URL that events are delivered to.
    pub url: String,
    /// The types of event that it wants; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The pipeline that it wants the events of, with its jobs and their logs; all events if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<PipelineId>,
    /// Most events in one delivery, sent as a batch; if absent, each event is delivered by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Deliveries stopped, until somebody resumes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookPaused {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Why.
    pub cause: PauseCause,
    /// What went wrong in the last attempt.
    pub error: String,
    /// The event that could not be delivered, and is the first one after a resume.
    pub position: Position,
    /// When.
    pub paused_at: DateTime<Utc>,
}

/// Why deliveries stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// No attempt succeeded for too long.
    Failing,
    /// The receiver answered that it is gone for good.
    Gone,
    /// The secret that signs deliveries is lost: the log was restored without it.
    SecretMissing,
}

/// Deliveries continue where they stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookResumed {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// When.
    pub resumed_at: DateTime<Utc>,
}

/// The webhook was deleted: nothing more is delivered to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDeleted {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// When.
    pub deleted_at: DateTime<Utc>,
}
