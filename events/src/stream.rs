//! Streams: every aggregate instance has one, named by the kind of aggregate and its id.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::id::{JobId, PipelineId, RunnerId, WebhookId};

/// The kinds of stream, one for each kind of aggregate.
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
    /// A kind that only a newer build knows, by its stored name. Its events are
    /// [unreadable](crate::Event::Unreadable).
    #[serde(skip)]
    Unknown(#[serde(skip)] &'static str),
}

impl StreamType {
    /// The kinds that this build knows.
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

    /// The kind with this name in the log; [`Self::Unknown`] if this build does not know it.
    pub(crate) fn stored(name: &str) -> Self {
        /// The unknown names met so far. Each is leaked once, to live as long as the process; there are only a few.
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
            .description(Some("The kinds of stream, one for each kind of aggregate."))
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

/// Names the stream of one aggregate instance. As text: `job/018f…`.
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

    /// The stream of a claim request, whose id is a digest of the runner and the key: a UUIDv5, in hexadecimal.
    #[must_use]
    pub fn claim(runner: &RunnerId, request_key: &str) -> Self {
        let name = json!([runner, request_key]).to_string();
        Self::new(StreamType::Claim, Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple())
    }

    /// The stream of a concurrency group.
    #[must_use]
    pub fn group(name: &str) -> Self {
        Self::new(StreamType::Group, name)
    }

    /// The stream of the decisions of operators about a read model.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims that are repeated across an upgrade have to find their answers.
    #[test]
    fn the_stream_of_a_claim_is_the_same_in_every_build() {
        let stream = StreamId::claim(&"build-01/linux ä".parse().unwrap(), "a \"key\"");
        assert_eq!(stream.to_string(), "claim/059bf76f33095160b0be1bd461d5b451");
    }

    #[test]
    fn a_stream_id_is_read_back_from_its_text() {
        let stream = StreamId::new(StreamType::Runner, "a/b c");
        assert_eq!(stream.to_string().parse(), Ok(stream));
        assert!("job/".parse::<StreamId>().is_err());
        assert!("jobs/1".parse::<StreamId>().is_err());
    }
}
