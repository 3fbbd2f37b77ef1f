//! The state of a webhook, folded from its events.

use rivet_events::id::WebhookId;
use rivet_events::webhook::WebhookEvent;
use serde::{Deserialize, Serialize};

/// A webhook, by whether its events are delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum WebhookState {
    /// Never created, or deleted.
    #[default]
    Absent,
    /// Its events are delivered.
    Active {
        /// The webhook.
        webhook_id: WebhookId,
    },
    /// Deliveries are paused.
    Paused {
        /// The webhook.
        webhook_id: WebhookId,
    },
}

/// Applies one event. An event that does not fit the state changes nothing.
pub(super) fn evolve(state: WebhookState, event: WebhookEvent) -> WebhookState {
    match (state, event) {
        (WebhookState::Absent, WebhookEvent::Created(e)) => WebhookState::Active { webhook_id: e.webhook_id },
        (WebhookState::Active { webhook_id }, WebhookEvent::Paused(_)) => WebhookState::Paused { webhook_id },
        (WebhookState::Paused { webhook_id }, WebhookEvent::Resumed(_)) => {
            WebhookState::Active { webhook_id }
        }
        (_, WebhookEvent::Deleted(_)) => WebhookState::Absent,
        (state, WebhookEvent::Created(_) | WebhookEvent::Paused(_) | WebhookEvent::Resumed(_)) => state,
    }
}
