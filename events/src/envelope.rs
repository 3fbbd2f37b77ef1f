//! The envelope of an event in the log: its position, when it was recorded, and who caused it.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::Event;
use crate::id::{CommandId, EventId};
use crate::stream::StreamId;

/// The most that the clocks of two servers are taken to differ. A recorded time that is further ahead than this is a
/// mistake, of a clock that was set right since.
pub const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// Whether a time was recorded by a clock that was wrong, since it is further ahead than [`CLOCKS_DIFFER`].
#[must_use]
pub fn is_mistaken(recorded: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    recorded > now + CLOCKS_DIFFER
}

/// The time since `since`; zero if the clock of another server set it in the future.
#[must_use]
pub fn elapsed(since: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - since).to_std().unwrap_or_default()
}

/// A place in the whole log: 1, 2, … without gaps, in commit order. 0 is before the first event.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct Position(pub u64);

/// A place in one stream: 1, 2, … without gaps. 0 is a stream that does not exist yet.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct Version(pub u64);

/// What both kinds of places have in common. A database stores them as `bigint`.
macro_rules! place {
    ($place:ident) => {
        impl $place {
            /// The last one that can be stored.
            pub const MAX: Self = Self(i64::MAX.cast_unsigned());

            /// As it is stored. What is beyond the last one becomes that: nothing is stored there.
            #[must_use]
            pub fn to_sql(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }

            /// From what is stored, which is never negative.
            #[must_use]
            pub fn from_sql(number: i64) -> Self {
                Self(u64::try_from(number).unwrap_or_default())
            }
        }

        impl fmt::Display for $place {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

place!(Position);
place!(Version);

/// Who caused an event, and by what. Stored as a flat object of strings, which any cqrs-es tool reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Metadata {
    /// `runner:NAME`, `client`, or `process:NAME` for the server's own reconcilers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Identifies what started the whole chain of commands and events, such as a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The command or event that led to this one directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The command that recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// The HTTP request that brought the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The `User-Agent` of that request, if it had one; cut off where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// W3C trace context of that request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Metadata {
    /// Converts to the string map that cqrs-es passes with each event.
    #[must_use]
    pub fn to_map(&self) -> HashMap<String, String> {
        let fields = [
            ("actor", self.actor.clone()),
            ("correlation_id", self.correlation_id.clone()),
            ("causation_id", self.causation_id.clone()),
            ("command_id", self.command_id.map(|id| id.to_string())),
            ("request_id", self.request_id.clone()),
            ("user_agent", self.user_agent.clone()),
            ("traceparent", self.traceparent.clone()),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Converts back from that map. Keys that are not ours are dropped.
    #[must_use]
    pub fn from_map(mut map: HashMap<String, String>) -> Self {
        Self {
            actor: map.remove("actor"),
            correlation_id: map.remove("correlation_id"),
            causation_id: map.remove("causation_id"),
            command_id: map.remove("command_id").and_then(|id| id.parse().ok()),
            request_id: map.remove("request_id"),
            user_agent: map.remove("user_agent"),
            traceparent: map.remove("traceparent"),
        }
    }
}

/// An event together with its place in the log and its metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Place in the whole log.
    pub position: Position,
    /// Its own id.
    pub event_id: EventId,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// Place in that stream.
    pub sequence: Version,
    /// When it was recorded, by the clock of the server that recorded it.
    pub recorded_at: DateTime<Utc>,
    /// Who caused it.
    pub metadata: Metadata,
    /// The event itself.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_the_map() {
        let metadata = Metadata {
            actor: Some("runner:a".to_owned()),
            command_id: Some(CommandId::generate()),
            request_id: Some("r".to_owned()),
            user_agent: Some("curl/8".to_owned()),
            ..Metadata::default()
        };
        assert_eq!(Metadata::from_map(metadata.to_map()), metadata);
        let json = serde_json::to_value(&metadata).unwrap();
        assert!(json.as_object().unwrap().values().all(serde_json::Value::is_string));
    }
}
