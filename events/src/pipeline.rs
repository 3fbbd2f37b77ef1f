//! The events of a pipeline, and the definition that they carry.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::id::PipelineId;

/// A fact about one pipeline. Stream: `pipeline/{pipeline_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum PipelineEvent {
    #[serde(rename = "pipeline.created")]
    Created(PipelineCreated),
    #[serde(rename = "pipeline.revised")]
    Revised(PipelineRevised),
    #[serde(rename = "pipeline.deleted")]
    Deleted(PipelineDeleted),
}

/// The pipeline was created, with version 1 of its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineCreated {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// What it runs.
    pub definition: PipelineDefinition,
    /// When, by the clock of the server that took the command.
    pub created_at: DateTime<Utc>,
}

/// The definition was replaced; jobs launched before keep the version they were launched with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineRevised {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// The version of this definition: 2, 3, …
    pub version: u32,
    /// What it runs from now on.
    pub definition: PipelineDefinition,
    /// The version that it brings back, where it was a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u32>,
    /// When.
    pub revised_at: DateTime<Utc>,
}

/// The pipeline takes no more launches; its history stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineDeleted {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// When.
    pub deleted_at: DateTime<Utc>,
}

/// One version of a pipeline: the script as it was sent, and what was read from it when it was stored.
/// Replay never runs Lua.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineDefinition {
    /// Display name, not empty.
    pub name: String,
    /// Shown description.
    pub description: Option<String>,
    /// The Lua text, byte for byte as sent.
    pub script: String,
    /// Tags in the form in which they were sent: texts (dialect A) or pairs (dialect B).
    pub tags: Vec<Tag>,
    /// Modules named by the definition's `requires` and the request's `required_modules`.
    pub required_modules: Vec<String>,
    /// Capabilities that a runner needs: the modules above and `key=value` of each `runner` pair; sorted, unique.
    pub demands: Vec<String>,
    /// Declared inputs by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Limits and environment.
    pub config: PipelineConfig,
}

/// A tag of a pipeline, kept in the form in which it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Tag {
    /// Dialect A: free text, demands nothing.
    Text(String),
    /// Dialect B: a pair.
    Pair {
        /// Left of the `=`.
        key: String,
        /// Right of the `=`.
        value: String,
    },
}

/// Written by hand: the derived implementation would accept an array as a pair, and its errors would not say what is
/// wrong.
impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagVisitor;

        #[derive(Deserialize)]
        struct Pair {
            key: String,
            value: String,
        }

        impl<'de> Visitor<'de> for TagVisitor {
            type Value = Tag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object with `key` and `value`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Tag, E> {
                Ok(Tag::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Tag, A::Error> {
                let Pair { key, value } = Pair::deserialize(MapAccessDeserializer::new(members))?;
                Ok(Tag::Pair { key, value })
            }
        }

        deserializer.deserialize_any(TagVisitor)
    }
}

/// A declared input of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputSpec {
    /// `string`, `number` or `bool`. Kept as written; an unknown type is refused at launch.
    #[serde(rename = "type")]
    pub kind: String,
    /// Shown description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether a launch must give it, unless there is a default.
    #[serde(default)]
    pub required: bool,
    /// Used if a launch gives no value, or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// The only values allowed, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<serde_json::Value>>,
}

/// Limits, environment and queueing of a pipeline's jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PipelineConfig {
    /// Longest run of one attempt in seconds, enforced by the server; the server's default where absent.
    pub timeout_seconds: Option<u64>,
    /// Further attempts after a failure.
    pub max_retries: u32,
    /// Given to the runner.
    pub env_vars: BTreeMap<String, String>,
    /// 0 (last) to 9 (first); the default of jobs that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Jobs of one group share a limit of running jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_group: Option<String>,
    /// Running jobs per group; 1 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_limit: Option<u32>,
    /// What a new job of a full group does; `queue` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,
    /// Whether, after the runner of an attempt was lost, the next attempt may go to a runner that cannot be fenced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retry_on_runner_lost: bool,
}

/// What a new job does when its concurrency group is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConcurrencyPolicy {
    /// Waits its turn.
    #[default]
    Queue,
    /// Cancels the older jobs of the group, queued or running.
    CancelOlder,
}
