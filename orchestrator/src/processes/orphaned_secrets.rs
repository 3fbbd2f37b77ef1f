//! Deletes the secrets of webhooks that do not exist: a process ended after it had stored the secret, and before the
//! event that creates the webhook was appended; or the webhook was deleted, and its secret could not be.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::StreamId;
use rivet_projections::webhooks;

use super::{Processes, SweepError};
use crate::commands::done_or_skipped;
use crate::domain::webhook::WebhookState;

/// Age below which a secret is left alone, since the event of its webhook may still be on its way into the log.
const GRACE: Duration = Duration::from_mins(10);

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    let Processes { commands, read_models, deliveries, .. } = processes;
    for webhook_id in deliveries.all().await.map_err(SweepError::Deliveries)? {
        let is_recent = webhook_id.made_at().is_some_and(|made_at| now - GRACE < made_at);
        if is_recent || webhooks::find(read_models, webhook_id).await?.is_some() {
            continue;
        }
        let loaded = commands.webhooks.load_fresh(webhook_id).await;
        let webhook = done_or_skipped("orphaned_secrets", &StreamId::webhook(webhook_id), loaded)?;
        if webhook.is_some_and(|webhook| *webhook.state == WebhookState::Absent) {
            tracing::info!(webhook.id = %webhook_id, "a secret without a webhook is deleted");
            deliveries.delete(webhook_id).await.map_err(SweepError::Deliveries)?;
        }
    }
    Ok(())
}
