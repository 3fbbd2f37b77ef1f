//! The state of a webhook, folded from its events.

use rivet_events::id::WebhookId;
use rivet_events::webhook::WebhookEvent;
use serde::{Deserialize, Serialize};

/// A webhook, by whether its events are delivered.
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
    /// Deliveries are paused.
    Paused {
        /// The webhook.
        webhook_id: WebhookId,
    },
}

impl WebhookState {
    /// Applies one event. An event that does not fit the state changes nothing.
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
