//! What can be asked of a webhook.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::{PipelineId, WebhookId};
use rivet_events::webhook::PauseCause;

/// A command to one webhook.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum WebhookCommand {
    Create(CreateWebhook),
    Pause(PauseWebhook),
    Resume(ResumeWebhook),
    Delete(DeleteWebhook),
}

command_names! {
    WebhookCommand {
        Create => "create",
        Pause => "pause",
        Resume => "resume",
        Delete => "delete",
    }
}

/// Somebody wants to be told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateWebhook {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Where to.
    pub url: String,
    /// Of which types; of any where there are none.
    pub types: Vec<String>,
    /// Of which pipeline; of everything where there is none.
    pub pipeline_id: Option<PipelineId>,
    /// Events of one delivery at most, as a batch; one by itself where there is none.
    pub batch_size: Option<u32>,
    /// When.
    pub now: DateTime<Utc>,
}

/// Deliveries are given up.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseWebhook {
    /// Why.
    pub cause: PauseCause,
    /// What the last attempt came to.
    pub error: String,
    /// The event that could not be delivered.
    pub position: Position,
    /// When.
    pub now: DateTime<Utc>,
}

/// Deliveries are to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct ResumeWebhook {
    /// When.
    pub now: DateTime<Utc>,
}

/// Nobody wants to be told any more.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteWebhook {
    /// When.
    pub now: DateTime<Utc>,
}
