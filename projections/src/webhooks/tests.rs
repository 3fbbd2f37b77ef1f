//! Given events, then the webhook.

use rivet_events::id::WebhookId;
use rivet_events::webhook::{
    PauseCause, WebhookCreated, WebhookDeleted, WebhookEvent, WebhookPaused, WebhookResumed,
};
use rivet_events::{Event, Position};
use uuid::Uuid;

use super::{Webhook, WebhookStatus, Webhooks};
use crate::testing::{at, row_after};

fn webhook_id() -> WebhookId {
    Uuid::from_u128(7).into()
}

fn webhook(events: impl IntoIterator<Item = WebhookEvent>) -> Option<Webhook> {
    row_after(&Webhooks, &webhook_id(), events.into_iter().map(Event::Webhook))
}

fn created() -> WebhookEvent {
    WebhookEvent::Created(WebhookCreated {
        webhook_id: webhook_id(),
        url: "https://example.com/".to_owned(),
        types: vec!["job.completed".to_owned()],
        pipeline_id: None,
        batch_size: Some(100),
        created_at: at(0),
    })
}

fn pause() -> WebhookPaused {
    WebhookPaused {
        webhook_id: webhook_id(),
        cause: PauseCause::Gone,
        error: "it answered 410".to_owned(),
        position: Position(3),
        paused_at: at(5),
    }
}

fn resumed() -> WebhookEvent {
    WebhookEvent::Resumed(WebhookResumed { webhook_id: webhook_id(), resumed_at: at(9) })
}

#[test]
fn a_paused_webhook_says_why_until_it_is_resumed() {
    let paused = webhook([created(), WebhookEvent::Paused(pause())]).unwrap();
    assert_eq!((paused.status, paused.paused), (WebhookStatus::Paused, Some(pause())));
    let resumed = webhook([created(), WebhookEvent::Paused(pause()), resumed()]).unwrap();
    assert_eq!((resumed.status, resumed.paused), (WebhookStatus::Active, None));
    assert_eq!(resumed.batch_size, Some(100));
    assert_eq!((resumed.created_at, resumed.resumed_at), (at(0), Some(at(9))));
}

#[test]
fn a_deleted_webhook_has_no_row() {
    let deleted = WebhookDeleted { webhook_id: webhook_id(), deleted_at: at(9) };
    assert_eq!(webhook([created(), WebhookEvent::Deleted(deleted)]), None);
}
