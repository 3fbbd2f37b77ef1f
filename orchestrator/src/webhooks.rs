//! Webhooks: deliver events to HTTP endpoints, at least once and in order. A webhook whose deliveries fail for too
//! long is paused.
//!
//! Only the leader delivers. It runs a task for each active webhook ([`subscription`]), which follows the feed from a
//! position that is saved in a table beside the log. A restart or a takeover continues there: some events may be
//! delivered twice, none is left out, and the first delivery of each is in order.

pub(crate) mod address;
mod changes;
mod message;
pub(crate) mod progress;
mod sender;
pub(crate) mod signature;
mod subscription;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::deliveries::Deliveries;
use rivet_events::id::WebhookId;
use rivet_projections::ReadModels;
use rivet_projections::webhooks::{self, Webhook};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::Config;
use crate::feed::Feed;
use crate::leadership::Leadership;
use crate::telemetry::chain;
use changes::Changes;
use sender::Sender;
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
    commands: Commands,
    read_models: ReadModels,
    feed: Feed,
    deliveries: Deliveries,
    sender: Sender,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
}

/// The task of an active webhook. It is replaced when the webhook has been resumed, known by `resumed_at`.
struct Running {
    resumed_at: Option<DateTime<Utc>>,
    stop: CancellationToken,
}

impl Webhooks {
    /// Deliveries of the events of `feed`.
    pub(crate) fn new(
        commands: Commands,
        read_models: ReadModels,
        feed: Feed,
        deliveries: Deliveries,
        clock: Arc<dyn Clock>,
        config: Arc<Config>,
    ) -> Self {
        let sender = Sender::new(config.webhooks.allow_private);
        Self { commands, read_models, feed, deliveries, sender, clock, config }
    }

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

    /// Keeps a running task for each active webhook, and follows changes of webhooks in the log.
    async fn lead(&self, end: &CancellationToken, tasks: &TaskTracker) {
        let mut running = HashMap::new();
        let mut changed_at = self.read_models.position();
        let mut changes = Changes::new(self.commands.log().clone(), changed_at);
        loop {
            let shows_all = self.read_models.position() >= changed_at;
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
            match changes.next(Instant::now() + pause).await {
                Ok(Some(position)) => {
                    changed_at = position;
                    self.read_models.wait_for(changed_at, READ_WAIT).await;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "changes of webhooks cannot be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
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
