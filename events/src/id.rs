//! Typed ids. Two ids of different kinds cannot be swapped, and only this module makes new ones.
//!
//! Most ids are UUIDv7: they sort by creation time, so indexes grow at their right edge.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later in order than every id made before it in this process.
            #[must_use]
            #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// When it was created, by the clock of the process that created it; `None` if the UUID contains no time.
            #[must_use]
            pub fn made_at(self) -> Option<DateTime<Utc>> {
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
            }

            /// The bare UUID, for storage and for deriving other ids.
            #[must_use]
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// A pipeline: a named Lua definition with a history of versions.
    PipelineId
}
uuid_id! {
    /// A job: one launch of a pipeline.
    JobId
}
uuid_id! {
    /// The fencing token of one attempt of a job; a new one with every claim.
    LeaseId
}
uuid_id! {
    /// A webhook: a URL that events are delivered to.
    WebhookId
}
uuid_id! {
    /// One event of the log.
    EventId
}
uuid_id! {
    /// One command, whether or not it recorded anything.
    CommandId
}

impl JobId {
    /// The id of the job that a launch of `pipeline` with this idempotency key creates. It is derived from both
    /// (UUIDv5), so two launches with the same key append to the same stream, and only the first append succeeds.
    /// This checks the key and appends in one transaction, without a table of keys.
    #[must_use]
    pub fn for_idempotency_key(pipeline: PipelineId, key: &str) -> Self {
        Self(Uuid::new_v5(&pipeline.0, key.as_bytes()))
    }

    /// As [`Self::for_idempotency_key`], of launching `ended` again.
    #[must_use]
    pub fn for_retry_key(ended: JobId, key: &str) -> Self {
        Self(Uuid::new_v5(&ended.0, key.as_bytes()))
    }
}

/// A runner's name, chosen by the runner: 1 to 255 bytes, without control characters, and not only white
/// space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    min_length = 1,
    max_length = 255,
    pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
    example = "build-1"
)]
pub struct RunnerId(String);

/// Why a text is no [`RunnerId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunnerIdError {
    /// Nothing, or only white space.
    #[error("a runner id must not be empty or white space only")]
    Empty,
    /// More than [`RunnerId::MAX_BYTES`].
    #[error("a runner id has at most 255 bytes")]
    TooLong,
    /// A control character, NUL among them.
    #[error("a runner id must not contain control characters")]
    Control,
}

impl RunnerId {
    /// Longest id accepted, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 255;

    /// The name as the runner sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunnerId {
    type Error = RunnerIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Some control characters are white space too.
        if text.chars().any(char::is_control) {
            Err(RunnerIdError::Control)
        } else if text.trim().is_empty() {
            Err(RunnerIdError::Empty)
        } else if text.len() > Self::MAX_BYTES {
            Err(RunnerIdError::TooLong)
        } else {
            Ok(Self(text))
        }
    }
}

impl FromStr for RunnerId {
    type Err = RunnerIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for RunnerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_process_are_in_order() {
        let ids: Vec<JobId> = (0..1000).map(|_| JobId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_idempotency_key_names_one_job_per_pipeline() {
        let (one, other) = (PipelineId::generate(), PipelineId::generate());
        assert_eq!(JobId::for_idempotency_key(one, "k"), JobId::for_idempotency_key(one, "k"));
        assert_ne!(JobId::for_idempotency_key(one, "k"), JobId::for_idempotency_key(other, "k"));
        assert_ne!(JobId::for_idempotency_key(one, "k"), JobId::for_idempotency_key(one, "l"));
    }

    #[test]
    fn a_runner_id_is_1_to_255_bytes_of_text() {
        assert!("r".repeat(255).parse::<RunnerId>().is_ok());
        assert_eq!("r".repeat(256).parse::<RunnerId>(), Err(RunnerIdError::TooLong));
        assert_eq!(" ".parse::<RunnerId>(), Err(RunnerIdError::Empty));
        for control in ["a\0b", "\u{85}", "\n"] {
            assert_eq!(control.parse::<RunnerId>(), Err(RunnerIdError::Control));
        }
        assert!("läufer 1/ä?".parse::<RunnerId>().is_ok());
    }
}
