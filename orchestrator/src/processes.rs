//! Reconcilers: what has to happen when nobody asks for it.
//!
//! Each takes no input, reads what seems due, and issues ordinary commands, whose aggregates check again: contact
//! that wins the race keeps its job, and a reconciler that runs twice, late or on two replicas does no harm. They are
//! woken by a timer, and run where the read models are kept up to date.
//!
//! To add one: a file with its `reconcile`, and its line in [`Processes::sweep`], or in [`Processes::sweep_running`] if
//! it looks at running jobs.

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
use rivet_events::id::RunnerId;
use rivet_events::job::JobStatus;
use rivet_events::log::StoreError;
use rivet_projections::runners::{self, Runner};
use rivet_projections::{QueryError, ReadModels, jobs};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::commands::{Commands, ReconcileError};
use crate::config::Config;
use crate::leadership::Leadership;
use crate::liveness::Liveness;
use crate::telemetry::chain;

/// Rows that a reconciler looks at in one query.
const PAGE: usize = 500;

/// What the reconcilers work with.
#[derive(Clone)]
pub(crate) struct Processes {
    pub(crate) commands: Commands,
    pub(crate) read_models: ReadModels,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) contacts: Contacts,
    pub(crate) deliveries: Deliveries,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
}

/// Why a sweep ended early; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the contacts of other replicas cannot be read")]
    Contacts(#[source] StoreError),
    #[error("the deliveries of webhooks cannot be read or written")]
    Deliveries(#[source] StoreError),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
}

impl Processes {
    /// Sweeps until `shutdown`, while this process is the leading one. After a start, and after taking over, nothing
    /// is lost before everybody had the time to speak.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut leadership = Leadership::new(&self.read_models, shutdown);
        while leadership.wait_until_leading().await {
            leadership.run_while_leading(self.sweep_from(self.clock.now())).await;
        }
    }

    async fn sweep_from(&self, mut since: DateTime<Utc>) {
        let mut ticks = tokio::time::interval(self.config.sweep_interval);
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
            if let Err(error) = self.sweep(now, since).await {
                tracing::warn!(error = %chain(&error), "a sweep ended early");
                // Nor was anybody heard who spoke to another replica.
                since = self.clock.now();
            }
        }
    }

    /// Whether so much time passed between two sweeps that it was the server that was silent, not the runners: it was
    /// stopped or overloaded, or the clock was set.
    fn stood_still(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let longest = self.config.sweep_interval.saturating_add(self.config.lease / 2);
        (now - last).to_std().map_or(true, |time| time > longest)
    }

    async fn sweep(&self, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<(), SweepError> {
        let everybody_spoke = (now - since).to_std().is_ok_and(|time| time >= self.config.startup_grace());
        deleted_pipelines::reconcile(self, now).await?;
        superseded::reconcile(self, now).await?;
        deadlines::reconcile_queued(self, now).await?;
        let contacts = self.contacts(now, since).await?;
        self.sweep_running(&contacts, everybody_spoke).await?;
        if everybody_spoke {
            lost_runners::reconcile(self, &contacts, now).await?;
        }
        // Last: nobody waits for it, and what it asks of the database can fail by itself.
        orphaned_secrets::reconcile(self, now).await
    }

    /// One walk over the running jobs, on which each rule looks at each of them.
    async fn sweep_running(
        &self,
        contacts: &LastContacts<'_>,
        everybody_spoke: bool,
    ) -> Result<(), SweepError> {
        let mut after = None;
        loop {
            let page = jobs::with_status(&self.read_models, JobStatus::Running, after.as_ref(), PAGE).await?;
            for job in &page.items {
                deadlines::reconcile_running(self, job, contacts.now).await?;
                cancellations::reconcile(self, job, contacts, everybody_spoke).await?;
                if everybody_spoke {
                    lost_holders::reconcile(self, job, contacts).await?;
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Whom any replica has heard of lately.
    async fn contacts(
        &self,
        now: DateTime<Utc>,
        since: DateTime<Utc>,
    ) -> Result<LastContacts<'_>, SweepError> {
        let config = &self.config;
        // Who has a longer lease than others may take that long to speak, unless it was said how long anybody may.
        let listening_since = config.startup_grace.is_none().then_some(since);
        let longest = config.lease.max(config.legacy_lease).max(config.runner_offline_after);
        let heard = self.contacts.heard(longest.saturating_mul(2)).await.map_err(SweepError::Contacts)?;
        Ok(LastContacts { processes: self, heard, listening_since, now })
    }
}

/// The last contacts of runners, as this process and the others know them.
struct LastContacts<'a> {
    processes: &'a Processes,
    /// By the other replicas: how long ago.
    heard: HashMap<RunnerId, Duration>,
    /// Before this, silence is nobody's fault.
    listening_since: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl LastContacts<'_> {
    /// When a runner was last heard of.
    async fn find(&self, runner_id: &RunnerId) -> Result<Option<DateTime<Utc>>, QueryError> {
        let row = runners::find(&self.processes.read_models, runner_id).await?;
        Ok(self.of(runner_id, row.as_ref()))
    }

    fn of(&self, runner_id: &RunnerId, row: Option<&Runner>) -> Option<DateTime<Utc>> {
        let by_others = self.heard.get(runner_id).map(|age| self.now - *age);
        let recorded = row.and_then(|row| row.last_heartbeat_at);
        self.processes.liveness.last_contact(runner_id).max(by_others).max(recorded)
    }
}
