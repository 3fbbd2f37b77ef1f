//! An event that is shared by many followers, with its encoding.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rivet_events::{Envelope, Position};

use super::EventBody;

/// An event. It is encoded once, when the first follower asks for its JSON.
#[derive(Debug)]
pub(crate) struct FeedEvent {
    /// The event.
    pub(crate) envelope: Arc<Envelope>,
    json: OnceLock<Bytes>,
}

impl FeedEvent {
    pub(super) fn new(envelope: Arc<Envelope>) -> Self {
        Self { envelope, json: OnceLock::new() }
    }

    /// Its position in the log.
    pub(crate) fn position(&self) -> Position {
        self.envelope.position
    }

    /// Its [`EventBody`] as JSON, on one line.
    pub(crate) fn json(&self) -> &Bytes {
        self.json.get_or_init(|| {
            let json = serde_json::to_vec(&EventBody::from(&*self.envelope));
            json.expect("invariant: an event that was stored is plain data").into()
        })
    }
}
