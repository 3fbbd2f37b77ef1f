//! The body of answers about runners, which rows of the read model are converted into.

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;
use rivet_projections::runners::{self, RunnerStatus};
use serde::Serialize;
use utoipa::ToSchema;

/// A runner.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "build-1",
    "capabilities": ["docker", "os=linux"],
    "capability_count": 2,
    "unrestricted": false,
    "registered_at": "2026-01-31T12:00:00Z",
    "last_heartbeat_at": "2026-01-31T12:00:00Z",
    "status": "Online",
}))]
pub(in crate::http) struct Runner {
    id: RunnerId,
    capabilities: Vec<String>,
    capability_count: usize,
    /// Whether it may take every job, since it never told its capabilities.
    unrestricted: bool,
    registered_at: DateTime<Utc>,
    last_heartbeat_at: DateTime<Utc>,
    status: RunnerStatus,
}

impl Runner {
    /// From the read model; `last_contact` is what memory knows, which may be later.
    pub(in crate::http) fn from_row(row: runners::Runner, last_contact: Option<DateTime<Utc>>) -> Self {
        let registered_at = row.registered_at.unwrap_or_default();
        let recorded = row.last_heartbeat_at.unwrap_or(registered_at);
        let unrestricted = row.capabilities.0.is_none();
        let capabilities = row.capabilities.0.unwrap_or_default();
        Self {
            id: row.id,
            capability_count: capabilities.len(),
            capabilities,
            unrestricted,
            registered_at,
            last_heartbeat_at: last_contact.map_or(recorded, |contact| contact.max(recorded)),
            status: row.status,
        }
    }
}
