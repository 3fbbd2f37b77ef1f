//! A partial pipeline configuration: the fields that one source (the request or the script) sets. Sources are merged
//! by precedence.

use std::collections::BTreeMap;

use rivet_events::pipeline::{ConcurrencyPolicy, PipelineConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest run of one attempt that a pipeline may ask for: a day.
pub const MAX_TIMEOUT_SECONDS: u64 = 24 * 60 * 60;
/// The highest priority, which is served first.
pub const MAX_PRIORITY: u8 = 9;
/// Longest name of a concurrency group, in bytes.
pub const MAX_GROUP_BYTES: usize = 255;
/// The highest limit of a concurrency group: a claim of a job of a group takes the longer, the more places it has.
const MAX_CONCURRENCY_LIMIT: u32 = 10_000;

/// The fields of a [`PipelineConfig`] that a request or a definition sets; an absent one means "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PartialConfig {
    /// Longest run of one attempt, in seconds.
    #[schema(minimum = 1, maximum = 86_400)]
    pub timeout_seconds: Option<u64>,
    /// Number of further attempts after a failure.
    pub max_retries: Option<u32>,
    /// Environment variables of the job's commands.
    pub env_vars: Option<BTreeMap<String, String>>,
    /// 0 (last) to 9 (first).
    #[schema(maximum = 9)]
    pub priority: Option<u8>,
    /// The concurrency group: its jobs share a limit on how many of them run at the same time.
    #[schema(min_length = 1, max_length = 255)]
    pub concurrency_group: Option<String>,
    /// The limit of the group; 1 where absent.
    #[schema(minimum = 1, maximum = 10_000)]
    pub concurrency_limit: Option<u32>,
    /// What a new job does when its group is full.
    pub concurrency_policy: Option<ConcurrencyPolicy>,
    /// Whether, after an attempt was lost with its runner, the next may go to a runner that does not echo its lease.
    pub retry_on_runner_lost: Option<bool>,
}

/// A field of a configuration has a value that is of the right type, but not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidConfig {
    /// The field, as written.
    pub field: &'static str,
    /// What is wrong with it, as in "must be …".
    pub problem: String,
}

impl PartialConfig {
    /// Checks what the types do not express: ranges, the length of names, and those of environment variables.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let refuse = |field, problem: String| Err(InvalidConfig { field, problem });
        if self.timeout_seconds.is_some_and(|seconds| !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds)) {
            return refuse("timeout_seconds", format!("must be from 1 to {MAX_TIMEOUT_SECONDS}"));
        }
        if self.priority.is_some_and(|priority| priority > MAX_PRIORITY) {
            return refuse("priority", format!("must be from 0 to {MAX_PRIORITY}"));
        }
        if self.concurrency_group.as_ref().is_some_and(|group| !(1..=MAX_GROUP_BYTES).contains(&group.len()))
        {
            return refuse("concurrency_group", format!("must be 1 to {MAX_GROUP_BYTES} bytes long"));
        }
        if self.concurrency_limit.is_some_and(|limit| !(1..=MAX_CONCURRENCY_LIMIT).contains(&limit)) {
            return refuse("concurrency_limit", format!("must be from 1 to {MAX_CONCURRENCY_LIMIT}"));
        }
        // What no environment can have.
        let is_no_name = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        if let Some(name) = self.env_vars.iter().flatten().map(|(name, _)| name).find(is_no_name) {
            return refuse("env_vars", format!("must not have a variable named {name:?}"));
        }
        Ok(())
    }

    /// Merges two sources: each field that this one does not set is taken from `other`. `env_vars` counts as one
    /// field.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            timeout_seconds: self.timeout_seconds.or(other.timeout_seconds),
            max_retries: self.max_retries.or(other.max_retries),
            env_vars: self.env_vars.or(other.env_vars),
            priority: self.priority.or(other.priority),
            concurrency_group: self.concurrency_group.or(other.concurrency_group),
            concurrency_limit: self.concurrency_limit.or(other.concurrency_limit),
            concurrency_policy: self.concurrency_policy.or(other.concurrency_policy),
            retry_on_runner_lost: self.retry_on_runner_lost.or(other.retry_on_runner_lost),
        }
    }
}

impl From<PartialConfig> for PipelineConfig {
    /// Fills the fields that no source sets with the defaults.
    fn from(config: PartialConfig) -> Self {
        Self {
            timeout_seconds: config.timeout_seconds,
            max_retries: config.max_retries.unwrap_or_default(),
            env_vars: config.env_vars.unwrap_or_default(),
            priority: config.priority,
            concurrency_group: config.concurrency_group,
            concurrency_limit: config.concurrency_limit,
            concurrency_policy: config.concurrency_policy,
            retry_on_runner_lost: config.retry_on_runner_lost.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_wins_field_by_field() {
        let request = PartialConfig {
            max_retries: Some(0),
            concurrency_group: Some("deploy".into()),
            ..Default::default()
        };
        let script = PartialConfig {
            max_retries: Some(3),
            timeout_seconds: Some(60),
            priority: Some(7),
            ..Default::default()
        };

        let config = PipelineConfig::from(request.or(script));

        assert_eq!(config.max_retries, 0);
        assert_eq!(config.timeout_seconds, Some(60));
        assert_eq!(config.priority, Some(7));
        assert_eq!(config.concurrency_group.as_deref(), Some("deploy"));
        assert!(!config.retry_on_runner_lost);
    }

    #[test]
    fn a_value_out_of_range_is_refused_by_the_name_of_its_field() {
        let field = |config: PartialConfig| config.check().map_err(|error| error.field);
        let with_timeout =
            |seconds| field(PartialConfig { timeout_seconds: Some(seconds), ..Default::default() });

        assert_eq!(field(PartialConfig::default()), Ok(()));
        assert_eq!(with_timeout(MAX_TIMEOUT_SECONDS), Ok(()));
        assert_eq!(with_timeout(MAX_TIMEOUT_SECONDS + 1), Err("timeout_seconds"));
        assert_eq!(with_timeout(0), Err("timeout_seconds"));
        assert_eq!(field(PartialConfig { priority: Some(10), ..Default::default() }), Err("priority"));
        let with_limit =
            |limit| field(PartialConfig { concurrency_limit: Some(limit), ..Default::default() });
        assert_eq!(with_limit(0), Err("concurrency_limit"));
        assert_eq!(with_limit(MAX_CONCURRENCY_LIMIT), Ok(()));
        assert_eq!(with_limit(MAX_CONCURRENCY_LIMIT + 1), Err("concurrency_limit"));
        let with_variable = |name: &str| {
            let env_vars = Some(BTreeMap::from([(name.to_owned(), "1".to_owned())]));
            field(PartialConfig { env_vars, ..Default::default() })
        };
        assert_eq!(with_variable("CI"), Ok(()));
        for name in ["", "A=B", "A\0"] {
            assert_eq!(with_variable(name), Err("env_vars"), "{name:?}");
        }
        let with_group =
            |bytes| field(PartialConfig { concurrency_group: Some("g".repeat(bytes)), ..Default::default() });
        assert_eq!(with_group(0), Err("concurrency_group"));
        assert_eq!(with_group(MAX_GROUP_BYTES), Ok(()));
        assert_eq!(with_group(MAX_GROUP_BYTES + 1), Err("concurrency_group"));
    }
}
