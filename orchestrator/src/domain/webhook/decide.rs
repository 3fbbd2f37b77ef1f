//! The rules of a webhook.

use rivet_events::webhook::{WebhookCreated, WebhookDeleted, WebhookEvent, WebhookPaused, WebhookResumed};

use super::command::{CreateWebhook, WebhookCommand};
use super::state::WebhookState;

/// Why a command to a webhook was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WebhookError {
    /// No such webhook.
    #[error("there is no such webhook")]
    NotFound,
}

/// Decides a command: returns the events to record, or why it is refused. No events means that there is nothing new.
pub(super) fn decide(
    state: &WebhookState,
    command: WebhookCommand,
) -> Result<Vec<WebhookEvent>, WebhookError> {
    use WebhookState::{Absent, Active, Paused};
    match (state, command) {
        (Absent, WebhookCommand::Create(create)) => Ok(vec![created(create)]),
        (Active { webhook_id }, WebhookCommand::Pause(pause)) => {
            Ok(vec![WebhookEvent::Paused(WebhookPaused {
                webhook_id: *webhook_id,
                cause: pause.cause,
                error: pause.error,
                position: pause.position,
                paused_at: pause.now,
            })])
        }
        (Paused { webhook_id }, WebhookCommand::Resume(resume)) => {
            Ok(vec![WebhookEvent::Resumed(WebhookResumed {
                webhook_id: *webhook_id,
                resumed_at: resume.now,
            })])
        }
        (Active { webhook_id } | Paused { webhook_id }, WebhookCommand::Delete(delete)) => {
            Ok(vec![WebhookEvent::Deleted(WebhookDeleted {
                webhook_id: *webhook_id,
                deleted_at: delete.now,
            })])
        }
        // What is asked is already so; or, for a pause, the webhook was deleted or paused while this process tried to
        // deliver.
        (Active { .. } | Paused { .. }, WebhookCommand::Create(_))
        | (Absent | Paused { .. }, WebhookCommand::Pause(_))
        | (Active { .. }, WebhookCommand::Resume(_)) => Ok(vec![]),
        (Absent, WebhookCommand::Resume(_) | WebhookCommand::Delete(_)) => Err(WebhookError::NotFound),
    }
}

fn created(create: CreateWebhook) -> WebhookEvent {
    WebhookEvent::Created(WebhookCreated {
        webhook_id: create.webhook_id,
        url: create.url,
        types: create.types,
        pipeline_id: create.pipeline_id,
        batch_size: create.batch_size,
        created_at: create.now,
    })
}
