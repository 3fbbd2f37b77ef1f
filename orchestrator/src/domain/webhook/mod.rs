//! A webhook: an HTTP endpoint to which events are delivered. It is paused when that fails for too long.

mod command;
mod decide;
mod state;
#[cfg(test)]
mod tests;

use rivet_events::StreamType;
use rivet_events::webhook::WebhookEvent;

use crate::domain::Decider;

pub(crate) use command::{CreateWebhook, DeleteWebhook, PauseWebhook, ResumeWebhook, WebhookCommand};
pub(crate) use decide::WebhookError;
pub(crate) use state::WebhookState;

impl Decider for WebhookState {
    const KIND: StreamType = StreamType::Webhook;
    type Command = WebhookCommand;
    type Event = WebhookEvent;
    type Error = WebhookError;

    fn decide(&self, command: WebhookCommand) -> Result<Vec<WebhookEvent>, WebhookError> {
        decide::decide(self, command)
    }

    fn evolve(self, event: WebhookEvent) -> Self {
        state::evolve(self, event)
    }
}
