//! Reconcilers: what has to happen without a request, such as expired leases and passed deadlines.
//!
//! A reconciler takes no input. It reads from the read models what seems due, and sends ordinary commands, whose
//! aggregates check again. So a reconciler that runs twice, late or on two replicas does no harm, and a runner whose
//! contact comes in before the command keeps its job. A timer starts a sweep of all reconcilers, on the leader only.
//!
//! CONTRIBUTING.md says how to add one.

mod cancellations;
mod deadlines;
mod deleted_pipelines;
mod lost_holders;
mod lost_runners;
mod orphaned_secrets;
mod superseded;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::contacts::Contacts;
use rivet_events::deliveries::Deliveries;
use rivet_events::elapsed;
use rivet_events::id::RunnerId;
use rivet_events::job::JobStatus;
use rivet_events::log::StoreError;
use rivet_projections::runners::{self, Runner};
use rivet_projections::{Leadership, QueryError, ReadModels, jobs};
use tokio_util::sync::CancellationToken;

use crate::cancelling::CancelError;
use crate::clock::Clock;
use crate::commands::{Commands, NotRecorded};
use crate::config::Config;
use crate::liveness::Liveness;
use crate::server::Connections;
use crate::telemetry::chain;

/// Rows that one query of a reconciler returns at most.
const PAGE: usize = 500;

/// What the reconcilers need.
#[derive(Clone)]
pub(crate) struct Processes {
    pub(crate) commands: Commands,
    pub(crate) read_models: ReadModels,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) contacts: Contacts,
    pub(crate) deliveries: Deliveries,
    pub(crate) connections: Arc<Connections>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
}

/// Why a sweep ended early. The next one starts over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the contacts of other replicas cannot be read")]
    Contacts(#[source] StoreError),
    #[error("the deliveries of webhooks cannot be read or written")]
    Deliveries(#[source] StoreError),
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    #[error(transparent)]
    Cancel(#[from] CancelError),
}

impl SweepError {
    /// Whether runners may have spoken without being heard: the contacts with other replicas were not read, or the log
    /// takes no commands, so that those of runners are refused, too.
    fn may_miss_contacts(&self) -> bool {
        match self {
            Self::Contacts(_) | Self::NotRecorded(_) | Self::Cancel(CancelError::NotRecorded(_)) => true,
            Self::Query(_) | Self::Deliveries(_) | Self::Cancel(CancelError::Query(_)) => false,
        }
    }
}

impl Processes {
    /// Sweeps until `shutdown`, while this process is the leader. After a start or a takeover, nothing expires before a
    /// grace period has passed, in which every runner had the time to make contact: also to report what it did while
    /// nobody could be reached.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut leadership = Leadership::new(&self.read_models, shutdown);
        while leadership.wait_until_leading().await {
            leadership.run_while_leading(self.sweep_from(self.clock.now())).await;
        }
    }

    /// Sweeps at each tick. The grace period begins at `since`, and again whenever contacts may have been missed.
    async fn sweep_from(&self, mut since: DateTime<Utc>) {
        let mut ticks = tokio::time::interval(self.config.leases.sweep_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = since;
        loop {
            ticks.tick().await;
            let now = self.clock.now();
            if self.stood_still(last, now) {
                tracing::warn!("the server stood still: everybody gets the time to speak again");
                since = now;
            }
            last = now;
            if self.connections.kept_clients_waiting() {
                tracing::warn!("all connections are in use: everybody gets the time to speak again");
                since = now;
            }
            if let Err(error) = self.sweep(now, since).await {
                tracing::warn!(error = %chain(&error), "a sweep ended early");
                if error.may_miss_contacts() {
                    since = self.clock.now();
                }
            }
            // Apart from the sweep, since nothing depends on it, and its table can fail while the others work.
            if let Err(error) = orphaned_secrets::reconcile(self, now).await {
                tracing::warn!(error = %chain(&error), "secrets without a webhook are deleted later");
            }
        }
    }

    /// Whether more time than the sweep interval and half a lease passed between two sweeps, or the clock went back.
    /// Then the server was not there to be contacted (it was suspended or overloaded, or its clock was set), and the
    /// silence of runners means nothing.
    fn stood_still(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let longest = self.config.leases.sweep_interval.saturating_add(self.config.leases.lease / 2);
        (now - last).to_std().map_or(true, |time| time > longest)
    }

    async fn sweep(&self, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<(), SweepError> {
        let grace_is_over = elapsed(since, now) >= self.config.leases.startup_grace();
        // First, so that they are read in every sweep that gets as far as the store.
        let contacts = self.contacts(now, since).await?;
        superseded::reconcile(self, now).await?;
        deleted_pipelines::reconcile(self, now).await?;
        if !grace_is_over {
            return Ok(());
        }
        deadlines::reconcile_queued(self, now).await?;
        self.sweep_running(&contacts).await?;
        // Later, and not with a later last contact as elsewhere: the event tells when the runner was last seen.
        let offline_after = self.config.leases.runner_offline_after;
        if contacts.listening_since.is_none_or(|since| elapsed(since, now) >= offline_after) {
            lost_runners::reconcile(self, &contacts, now).await?;
        }
        Ok(())
    }

    /// Pages through the running jobs once, and applies each reconciler of running jobs to each of them.
    async fn sweep_running(&self, contacts: &LastContacts<'_>) -> Result<(), SweepError> {
        let mut after = None;
        loop {
            let page = jobs::with_status(&self.read_models, JobStatus::Running, after.as_ref(), PAGE).await?;
            for job in &page.items {
                deadlines::reconcile_running(self, job, contacts.now).await?;
                cancellations::reconcile(self, job, contacts).await?;
                lost_holders::reconcile(self, job, contacts).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The recent contacts with any replica.
    async fn contacts(
        &self,
        now: DateTime<Utc>,
        since: DateTime<Utc>,
    ) -> Result<LastContacts<'_>, SweepError> {
        let config = &self.config;
        // Legacy leases are longer than the default grace period. So a lease runs from `since` at the earliest,
        // unless `--startup-grace` says explicitly how long the grace period is.
        let listening_since = config.leases.startup_grace.is_none().then_some(since);
        let longest =
            config.leases.lease.max(config.leases.legacy_lease).max(config.leases.runner_offline_after);
        let heard = self.contacts.heard(longest.saturating_mul(2)).await.map_err(SweepError::Contacts)?;
        Ok(LastContacts { processes: self, heard, listening_since, now })
    }
}

/// The last contacts of runners, with this process, with other replicas, or recorded in the log.
struct LastContacts<'a> {
    processes: &'a Processes,
    /// Contacts in the table that the replicas share, by their age.
    heard: HashMap<RunnerId, Duration>,
    /// Silence before this does not count against a runner, since nobody was listening.
    listening_since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl LastContacts<'_> {
    /// When a runner last made contact, with its row looked up.
    async fn find(&self, runner_id: &RunnerId) -> Result<Option<DateTime<Utc>>, QueryError> {
        let row = runners::find(&self.processes.read_models, runner_id).await?;
        Ok(self.of(runner_id, row.as_ref()))
    }

    /// As [`Self::find`], with a row that is known already.
    fn of(&self, runner_id: &RunnerId, row: Option<&Runner>) -> Option<DateTime<Utc>> {
        let by_others = self.heard.get(runner_id).map(|age| self.now - *age);
        let recorded = row.and_then(|row| row.last_heartbeat_at);
        self.processes.liveness.last_contact(runner_id).max(by_others).max(recorded)
    }
}
