//! A webhook: an HTTP endpoint to which events are delivered. It is paused when that fails for too long.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::webhook::WebhookEvent;
use serde::{Deserialize, Serialize};

pub use command::{CreateWebhook, DeleteWebhook, PauseWebhook, ResumeWebhook, WebhookCommand};
pub use decide::WebhookError;
pub use state::WebhookState;

/// The aggregate behind a webhook's stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Webhook {
    /// Its state, folded from its events.
    pub state: WebhookState,
}

impl Aggregate for Webhook {
    const TYPE: &'static str = StreamType::Webhook.as_str();
    type Command = WebhookCommand;
    type Event = WebhookEvent;
    type Error = WebhookError;
    type Services = ();

    async fn handle(
        &mut self,
        command: WebhookCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), WebhookError> {
        for event in decide::decide(&self.state, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: WebhookEvent) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
