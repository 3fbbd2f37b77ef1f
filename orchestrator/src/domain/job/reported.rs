//! What an attempt reported, as far as it takes to recognise that it is reported again: of the result, which can be large,
//! only a digest.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rivet_events::job::{JobResult, JobStatus};
use serde::{Deserialize, Serialize};

use super::command::Report;

/// What was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// A terminal status.
    pub status: JobStatus,
    /// The result.
    #[serde(rename = "result_digest")]
    pub result: ResultDigest,
}

impl Reported {
    /// Whether exactly this is reported again.
    #[must_use]
    pub fn is_repeated_by(&self, report: &Report) -> bool {
        self.status == report.status && self.result == ResultDigest::of(report.result.as_ref())
    }
}

/// The digest of a result, or of none. Equal results have an equal one, in whatever order their members were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResultDigest(u64);

impl ResultDigest {
    /// Of a result, if there is one.
    #[must_use]
    pub fn of(result: Option<&JobResult>) -> Self {
        let mut hasher = DefaultHasher::new();
        result.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(output: serde_json::Value) -> ResultDigest {
        let (output, error_message) = (Some(output), None);
        ResultDigest::of(Some(&JobResult { success: true, exit_code: 0, output, error_message }))
    }

    #[test]
    fn equal_results_have_an_equal_digest_and_others_another_one() {
        assert_eq!(digest(json!({"a": 1, "b": [0.0]})), digest(json!({"b": [-0.0], "a": 1})));
        for other in [json!({"a": 1.0}), json!({"a": 2}), json!({"b": 1}), json!(null), json!([])] {
            assert_ne!(digest(json!({"a": 1})), digest(other));
        }
        assert_ne!(digest(json!(null)), ResultDigest::of(None));
    }
}
