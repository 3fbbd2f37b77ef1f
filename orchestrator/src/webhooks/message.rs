//! The message of a delivery: one event, or a batch of events in one body.

use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use rivet_events::Position;

use crate::feed::FeedEvent;
use crate::feed::cloud_event::{BATCH_MEDIA_TYPE, CloudEvent, MEDIA_TYPE};

/// A body and its id, by which the receiver recognises a repeated delivery: each attempt sends the same.
pub(super) struct Message {
    /// The id of the event; for a batch, that of its first event with the position of its last. Visible ASCII without
    /// a full stop, which separates the signed parts.
    pub(super) id: String,
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
    /// The first of its events.
    pub(super) first: Arc<FeedEvent>,
    /// The position of its last event.
    pub(super) last: Position,
    /// Number of events.
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

    /// A batch: an event and those that follow it, in order.
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
