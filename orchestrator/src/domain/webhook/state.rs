//! What has come of a webhook's events.

use rivet_events::id::WebhookId;
use rivet_events::webhook::WebhookEvent;
use serde::{Deserialize, Serialize};

/// A webhook, by whether it is delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WebhookState {
    /// Never created, or deleted.
    #[default]
    Absent,
    /// Its events are delivered.
    Active {
        /// The webhook.
        webhook_id: WebhookId,
    },
    /// Deliveries were given up.
    Paused {
        /// The webhook.
        webhook_id: WebhookId,
    },
}

impl WebhookState {
    /// The state after one more event. An event that does not fit the state changes nothing.
    #[must_use]
    pub fn evolve(self, event: WebhookEvent) -> Self {
        match (self, event) {
            (Self::Absent, WebhookEvent::Created(e)) => Self::Active { webhook_id: e.webhook_id },
            (Self::Active { webhook_id }, WebhookEvent::Paused(_)) => Self::Paused { webhook_id },
            (Self::Paused { webhook_id }, WebhookEvent::Resumed(_)) => Self::Active { webhook_id },
            (_, WebhookEvent::Deleted(_)) => Self::Absent,
            (state, WebhookEvent::Created(_) | WebhookEvent::Paused(_) | WebhookEvent::Resumed(_)) => state,
        }
    }
}
