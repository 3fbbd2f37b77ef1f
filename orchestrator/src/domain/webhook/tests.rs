//! The rules of a webhook, as given, when, then.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::WebhookId;
use rivet_events::webhook::{
    PauseCause, WebhookCreated, WebhookDeleted, WebhookEvent, WebhookPaused, WebhookResumed,
};
use uuid::Uuid;

use super::{
    CreateWebhook, DeleteWebhook, PauseWebhook, ResumeWebhook, WebhookCommand, WebhookError, WebhookState,
};
use crate::domain::spec::Given;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn given(events: impl Into<Vec<WebhookEvent>>) -> Given<WebhookState> {
    crate::domain::spec::given(events)
}

fn webhook_id() -> WebhookId {
    Uuid::from_u128(1).into()
}

fn created() -> WebhookEvent {
    WebhookEvent::Created(WebhookCreated {
        webhook_id: webhook_id(),
        url: "https://example.com/".to_owned(),
        types: vec!["job.completed".to_owned()],
        pipeline_id: None,
        batch_size: Some(100),
        created_at: NOW,
    })
}

fn paused() -> WebhookEvent {
    WebhookEvent::Paused(WebhookPaused {
        webhook_id: webhook_id(),
        cause: PauseCause::Failing,
        error: "it answered 500".to_owned(),
        position: Position(7),
        paused_at: NOW,
    })
}

fn resumed() -> WebhookEvent {
    WebhookEvent::Resumed(WebhookResumed { webhook_id: webhook_id(), resumed_at: NOW })
}

fn deleted() -> WebhookEvent {
    WebhookEvent::Deleted(WebhookDeleted { webhook_id: webhook_id(), deleted_at: NOW })
}

fn create() -> WebhookCommand {
    WebhookCommand::Create(CreateWebhook {
        webhook_id: webhook_id(),
        url: "https://example.com/".to_owned(),
        types: vec!["job.completed".to_owned()],
        pipeline_id: None,
        batch_size: Some(100),
        now: NOW,
    })
}

fn pause() -> WebhookCommand {
    WebhookCommand::Pause(PauseWebhook {
        cause: PauseCause::Failing,
        error: "it answered 500".to_owned(),
        position: Position(7),
        now: NOW,
    })
}

const RESUME: WebhookCommand = WebhookCommand::Resume(ResumeWebhook { now: NOW });
const DELETE: WebhookCommand = WebhookCommand::Delete(DeleteWebhook { now: NOW });

#[test]
fn a_webhook_is_created_once() {
    given([]).when(create()).then([created()]);
    given([created()]).when(create()).then_nothing();
}

#[test]
fn it_is_paused_and_resumed_any_number_of_times_and_each_counts_once() {
    given([created()]).when(pause()).then([paused()]);
    given([created(), paused()]).when(pause()).then_nothing();
    given([created(), paused()]).when(RESUME).then([resumed()]);
    given([created(), paused(), resumed()]).when(RESUME).then_nothing();
    given([created(), paused(), resumed()]).when(pause()).then([paused()]);
}

#[test]
fn it_is_deleted_in_any_state_and_is_gone() {
    given([created()]).when(DELETE).then([deleted()]);
    given([created(), paused()]).when(DELETE).then([deleted()]);
    given([created(), deleted()]).when(DELETE).then_refused(WebhookError::NotFound);
    given([created(), deleted()]).when(RESUME).then_refused(WebhookError::NotFound);
    given([created(), deleted()]).when(pause()).then_nothing();
}
