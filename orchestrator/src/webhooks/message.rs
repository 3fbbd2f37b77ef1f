//! What is sent of events: one by itself, or several in one body.

use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use rivet_events::Position;

use crate::feed::FeedEvent;
use crate::feed::cloud_event::{BATCH_MEDIA_TYPE, CloudEvent, MEDIA_TYPE};

/// A body with what tells it from others, the same however often it is sent.
pub(super) struct Message {
    /// Of the event, or of the stretch of the log that a batch is of: visible ASCII without a full stop.
    pub(super) id: String,
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
    /// The first of its events.
    pub(super) first: Arc<FeedEvent>,
    /// Where its last event stands.
    pub(super) last: Position,
    /// How many events it has.
    pub(super) events: u32,
}

impl Message {
    /// One event.
    pub(super) fn single(event: Arc<FeedEvent>) -> Self {
        Self {
            id: event.envelope.event_id.to_string(),
            content_type: HeaderValue::from_static(MEDIA_TYPE),
            body: encoded(&CloudEvent::from(&*event.envelope)),
            last: event.position(),
            first: event,
            events: 1,
        }
    }

    /// An event and those that follow it, in order.
    pub(super) fn batch(first: Arc<FeedEvent>, more: &[Arc<FeedEvent>]) -> Self {
        let events: Vec<CloudEvent<'_>> =
            std::iter::once(&first).chain(more).map(|event| CloudEvent::from(&*event.envelope)).collect();
        let last = more.last().unwrap_or(&first).position();
        Self {
            id: format!("{}-{last}", first.envelope.event_id),
            content_type: HeaderValue::from_static(BATCH_MEDIA_TYPE),
            body: encoded(&events),
            last,
            events: u32::try_from(events.len()).expect("invariant: a batch is bounded"),
            first,
        }
    }
}

fn encoded(events: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(events).expect("invariant: an event that was stored is plain data").into()
}
