//! The event that records the answer to a claim request, so that a repeated request gets the same answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{JobId, LeaseId, RunnerId};

/// A fact about one claim request. Stream: `claim/{digest of runner and request key}`; it has at most one event,
/// appended together with the job's `job.claimed`, so that one request can never claim two jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "the variant is documented at its payload")]
pub enum ClaimEvent {
    #[serde(rename = "claim.answered")]
    Answered(ClaimAnswered),
}

/// The request won this lease of this job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClaimAnswered {
    /// Who asked.
    pub runner_id: RunnerId,
    /// The key it asked with.
    pub request_key: String,
    /// The job it got.
    pub job_id: JobId,
    /// The lease it got.
    pub lease_id: LeaseId,
    /// When.
    pub answered_at: DateTime<Utc>,
}
