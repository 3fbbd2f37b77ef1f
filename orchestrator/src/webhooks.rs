//! Webhooks: deliver events to HTTP endpoints, at least once and in order. A webhook whose deliveries fail for too
//! long is paused.
//!
//! Only the leader delivers. It runs a task for each active webhook ([`subscription`]), which follows the feed from a
//! position that is saved in a table beside the log. A restart or a takeover continues there: some events may be
//! delivered twice, none is left out, and the first delivery of each is in order.

pub(crate) mod address;
mod message;
pub(crate) mod progress;
mod sender;
pub(crate) mod signature;
mod subscription;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::deliveries::Deliveries;
use rivet_events::id::WebhookId;
use rivet_projections::webhooks::{self, Webhook};
use rivet_projections::{Leadership, ReadModels};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::Config;
use crate::feed::Feed;
use crate::metrics::WorkerMetrics;
use crate::telemetry::chain;
pub(crate) use sender::Sender;
use subscription::Subscription;

/// How often the active webhooks are listed without a reason.
const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Longest wait until the read model shows a change that has just been recorded.
const READ_WAIT: Duration = Duration::from_secs(5);
/// Pause after a failure, or while the read model does not show a change yet.
const PAUSE: Duration = Duration::from_secs(1);

/// What deliveries need. Clones share everything.
#[derive(Clone)]
pub(crate) struct Webhooks {
    pub(crate) commands: Commands,
    pub(crate) read_models: ReadModels,
    pub(crate) feed: Feed,
    pub(crate) deliveries: Deliveries,
    pub(crate) sender: Sender,
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
    /// The position of the last event in the log that concerns a webhook itself: one was created, paused, resumed or
    /// deleted.
    pub(crate) changes: watch::Sender<Position>,
}

/// The task of an active webhook. It is replaced when the webhook has been resumed, known by `resumed_at`.
struct Running {
    resumed_at: Option<DateTime<Utc>>,
    stop: CancellationToken,
}

impl Webhooks {
    /// Delivers until `shutdown`, while this process is the leader.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut leadership = Leadership::new(&self.read_models, shutdown);
        while leadership.wait_until_leading().await {
            let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
            leadership.run_while_leading(self.lead(&end, &tasks)).await;
            end.cancel();
            tasks.close();
            tasks.wait().await;
        }
    }

    /// Keeps a running task for each active webhook, as the read model shows them after each change.
    async fn lead(&self, end: &CancellationToken, tasks: &TaskTracker) {
        let mut running = HashMap::new();
        let mut changes = self.changes.subscribe();
        loop {
            let changed_at = *changes.borrow_and_update();
            let shows_all = self.read_models.wait_for(changed_at, READ_WAIT).await;
            let pause = match webhooks::active(&self.read_models).await {
                Ok(active) => {
                    self.update_tasks(&mut running, active, end, tasks);
                    if shows_all { POLL_INTERVAL } else { PAUSE }
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the webhooks cannot be listed");
                    PAUSE
                }
            };
            // The channel cannot close: its sender is in `self`.
            let _ = timeout(pause, changes.changed()).await;
        }
    }

    /// Stops the tasks of webhooks that are no longer active or were resumed, and starts those that are missing.
    fn update_tasks(
        &self,
        running: &mut HashMap<WebhookId, Running>,
        active: Vec<Webhook>,
        end: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        let wanted: HashMap<WebhookId, Webhook> =
            active.into_iter().map(|webhook| (webhook.id, webhook)).collect();
        running.retain(|id, task| {
            let stays = wanted.get(id).is_some_and(|webhook| webhook.resumed_at == task.resumed_at);
            if !stays {
                task.stop.cancel();
            }
            stays
        });
        for (id, webhook) in wanted {
            running.entry(id).or_insert_with(|| {
                let (resumed_at, stop) = (webhook.resumed_at, end.child_token());
                tasks.spawn(Subscription::new(self.clone(), webhook).run(stop.clone()));
                Running { resumed_at, stop }
            });
        }
    }
}
