//! Webhooks: subscriptions to events, which are delivered to a URL.

mod body;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod deliveries;
pub(super) mod get;
pub(super) mod list;
pub(super) mod resume;

use rivet_events::id::WebhookId;

use super::error::ApiError;

/// The 404 of a webhook.
fn unknown_webhook(id: WebhookId) -> ApiError {
    ApiError::not_found("webhook_not_found", format!("there is no webhook {id}"))
}
