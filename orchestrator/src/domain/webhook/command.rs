//! The commands to a webhook.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::{PipelineId, WebhookId};
use rivet_events::webhook::PauseCause;

/// A command to one webhook.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WebhookCommand {
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

/// Create the webhook.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateWebhook {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Where its events are sent.
    pub url: String,
    /// The types of its events; any type if empty.
    pub types: Vec<String>,
    /// The pipeline of its events; any if `None`.
    pub pipeline_id: Option<PipelineId>,
    /// Events of one batch at most; `None` to deliver each event by itself.
    pub batch_size: Option<u32>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Pause deliveries, since they fail.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PauseWebhook {
    /// Why.
    pub cause: PauseCause,
    /// The error of the last attempt.
    pub error: String,
    /// The position of the event that could not be delivered.
    pub position: Position,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Resume deliveries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResumeWebhook {
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Delete the webhook.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeleteWebhook {
    /// Time of the command.
    pub now: DateTime<Utc>,
}
