//! What surrounds an event in the log: where it stands, when it was recorded, and who caused it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::event::Event;
use crate::id::{CommandId, EventId, JobId, PipelineId, RunnerId, WebhookId};

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

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The kinds of stream, one an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each kind is documented at its events")]
pub enum StreamType {
    Pipeline,
    Job,
    JobLog,
    Runner,
    Claim,
    Group,
    Projection,
    Webhook,
    Archive,
    /// One that a newer build has written, by its name. Its events are [`Event::Unreadable`].
    #[serde(skip)]
    Unknown(#[serde(skip)] &'static str),
}

impl StreamType {
    /// Those that this build knows.
    const KNOWN: [Self; 9] = [
        Self::Pipeline,
        Self::Job,
        Self::JobLog,
        Self::Runner,
        Self::Claim,
        Self::Group,
        Self::Projection,
        Self::Webhook,
        Self::Archive,
    ];

    /// The name in the log, and in the text form of a [`StreamId`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Job => "job",
            Self::JobLog => "job_log",
            Self::Runner => "runner",
            Self::Claim => "claim",
            Self::Group => "group",
            Self::Projection => "projection",
            Self::Webhook => "webhook",
            Self::Archive => "archive",
            Self::Unknown(name) => name,
        }
    }

    /// The kind of this name in the log, whether this build knows it or not.
    pub(crate) fn stored(name: &str) -> Self {
        /// There are few, and each is kept once, for as long as the process lives.
        static UNKNOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

        name.parse().unwrap_or_else(|_| {
            let mut unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = unknown.iter().copied().find(|kept| *kept == name).unwrap_or_else(|| {
                unknown.push(name.to_owned().leak());
                unknown[unknown.len() - 1]
            });
            Self::Unknown(kept)
        })
    }
}

impl PartialSchema for StreamType {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The kinds of stream, one an aggregate."))
            .enum_values(Some(Self::KNOWN.map(Self::as_str)))
            .into()
    }
}

impl ToSchema for StreamType {}

/// A text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no stream: expected pipeline/ID, job/ID, job_log/ID, runner/ID, claim/ID, group/NAME, projection/NAME, \
     webhook/ID or archive/NAME"
)]
pub struct StreamIdError(pub String);

impl FromStr for StreamType {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::KNOWN.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| StreamIdError(text.to_owned()))
    }
}

/// The events of one aggregate instance. As text: `job/018f…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Which kind of aggregate.
    pub kind: StreamType,
    /// Which one.
    pub id: String,
}

impl StreamId {
    /// The stream of a kind and an id.
    #[must_use]
    pub fn new(kind: StreamType, id: impl fmt::Display) -> Self {
        Self { kind, id: id.to_string() }
    }

    /// The stream of a pipeline.
    #[must_use]
    pub fn pipeline(id: PipelineId) -> Self {
        Self::new(StreamType::Pipeline, id)
    }

    /// The stream of a job.
    #[must_use]
    pub fn job(id: JobId) -> Self {
        Self::new(StreamType::Job, id)
    }

    /// The stream of a job's log.
    #[must_use]
    pub fn job_log(id: JobId) -> Self {
        Self::new(StreamType::JobLog, id)
    }

    /// The stream of a webhook.
    #[must_use]
    pub fn webhook(id: WebhookId) -> Self {
        Self::new(StreamType::Webhook, id)
    }

    /// The stream of the archive of job logs.
    #[must_use]
    pub fn archive() -> Self {
        Self::new(StreamType::Archive, "job_logs")
    }

    /// The stream of a runner.
    #[must_use]
    pub fn runner(id: &RunnerId) -> Self {
        Self::new(StreamType::Runner, id)
    }

    /// The stream of what was decided about a read model.
    #[must_use]
    pub fn projection(name: &str) -> Self {
        Self::new(StreamType::Projection, name)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id)
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((kind, id)) if !id.is_empty() => Ok(Self::new(kind.parse()?, id)),
            Some(_) | None => Err(StreamIdError(text.to_owned())),
        }
    }
}

/// Who caused an event, and by what. Stored as a flat object of strings, which any cqrs-es tool reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Metadata {
    /// `runner:NAME`, `client`, or `process:NAME` for the server's own reconcilers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What the whole chain began with.
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
    /// What its sender calls itself, as far as it does; cut where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// W3C trace context of that request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Metadata {
    /// As the map that cqrs-es hands round.
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

    /// Back from the map; what is not ours is dropped.
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

/// An event in its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Place in the whole log.
    pub position: Position,
    /// Its own id.
    pub event_id: EventId,
    /// Whose event it is.
    pub stream: StreamId,
    /// Place in that stream.
    pub sequence: Version,
    /// When it was recorded, by the clock of the server that recorded it.
    pub recorded_at: DateTime<Utc>,
    /// Who caused it.
    pub metadata: Metadata,
    /// The fact.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_is_read_back_from_its_text() {
        let stream = StreamId::new(StreamType::Runner, "a/b c");
        assert_eq!(stream.to_string().parse(), Ok(stream));
        assert!("job/".parse::<StreamId>().is_err());
        assert!("jobs/1".parse::<StreamId>().is_err());
    }

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
