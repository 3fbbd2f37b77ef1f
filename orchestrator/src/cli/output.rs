//! How commands print: columns for people, JSON lines for programs.

use std::io::{self, Write};

use chrono::SecondsFormat;
use rivet_events::Envelope;
use serde::Serialize;

/// One JSON document on a line of its own.
pub(super) fn write_json(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, document)?;
    writeln!(out)
}

/// Time, type and actor of an event, in columns.
pub(super) fn summary(envelope: &Envelope) -> String {
    format!(
        "{}  {:<25}  {}",
        envelope.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        envelope.event.event_type(),
        envelope.metadata.actor.as_deref().unwrap_or("-"),
    )
}
