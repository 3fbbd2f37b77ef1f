//! Folds webhook events into webhooks.

use rivet_events::webhook::WebhookEvent;
use rivet_events::{Envelope, Event, StreamType};

use super::{Webhook, WebhookStatus};
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Webhook`]s, by webhook id.
#[derive(Debug)]
pub(crate) struct Webhooks;

impl Projection for Webhooks {
    const NAME: &'static str = "webhooks";
    const VERSION: u32 = 2;
    const STREAMS: &'static [StreamType] = &[StreamType::Webhook];
    const SCHEMA: Schema = Schema {
        columns: &[Column::integer("created_at"), Column::text("status")],
        indexes: &[&["created_at", "key"]],
    };
    type Row = Webhook;

    fn apply(row: Option<Webhook>, envelope: &Envelope) -> Option<Webhook> {
        let Event::Webhook(event) = &envelope.event else { return row };
        evolve(row, event)
    }
}

fn evolve(row: Option<Webhook>, event: &WebhookEvent) -> Option<Webhook> {
    match event {
        WebhookEvent::Created(created) => Some(Webhook {
            id: created.webhook_id,
            url: created.url.clone(),
            types: created.types.clone(),
            pipeline_id: created.pipeline_id,
            batch_size: created.batch_size,
            status: WebhookStatus::Active,
            paused: None,
            created_at: created.created_at,
            resumed_at: None,
        }),
        WebhookEvent::Paused(paused) => row.map(|webhook| Webhook {
            status: WebhookStatus::Paused,
            paused: Some(paused.clone()),
            ..webhook
        }),
        WebhookEvent::Resumed(resumed) => row.map(|webhook| Webhook {
            status: WebhookStatus::Active,
            paused: None,
            resumed_at: Some(resumed.resumed_at),
            ..webhook
        }),
        WebhookEvent::Deleted(_) => None,
    }
}
