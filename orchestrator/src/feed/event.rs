//! An event on its way to many readers.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rivet_events::{Envelope, Position};

use super::EventBody;

/// An event, encoded once, when the first reader asks.
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

    /// Where it stands in the log.
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
