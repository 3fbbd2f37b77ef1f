//! The body of answers about webhooks, which rows of the read model are converted into.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::{PipelineId, WebhookId};
use rivet_events::webhook::PauseCause;
use rivet_projections::webhooks::{self, WebhookStatus};
use serde::Serialize;
use utoipa::ToSchema;

/// A webhook. Its secret is never returned.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a21390-e555-7000-8000-0123456789ab",
    "url": "https://example.com/hook",
    "types": ["job.completed"],
    "pipeline_id": null,
    "batch_size": null,
    "status": "active",
    "paused": null,
    "created_at": "2026-01-31T12:00:00Z",
    "resumed_at": null,
}))]
pub(in crate::http) struct Webhook {
    id: WebhookId,
    url: String,
    types: Vec<String>,
    pipeline_id: Option<PipelineId>,
    batch_size: Option<u32>,
    status: WebhookStatus,
    paused: Option<Pause>,
    created_at: DateTime<Utc>,
    resumed_at: Option<DateTime<Utc>>,
}

/// Why a webhook is paused: the error, and the event whose delivery failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Pause {
    cause: PauseCause,
    error: String,
    position: Position,
    paused_at: DateTime<Utc>,
}

impl From<webhooks::Webhook> for Webhook {
    fn from(row: webhooks::Webhook) -> Self {
        Self {
            id: row.id,
            url: row.url,
            types: row.types,
            pipeline_id: row.pipeline_id,
            batch_size: row.batch_size,
            status: row.status,
            paused: row.paused.map(|paused| Pause {
                cause: paused.cause,
                error: paused.error,
                position: paused.position,
                paused_at: paused.paused_at,
            }),
            created_at: row.created_at,
            resumed_at: row.resumed_at,
        }
    }
}
