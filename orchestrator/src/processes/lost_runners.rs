//! Records as lost the runners that have fallen silent while online, that is, registered and without a job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::{StreamId, elapsed};
use rivet_projections::runners::{self, RunnerFilter, RunnerStatus};

use super::{LastContacts, PAGE, Processes, SweepError};
use crate::commands::{done_or_skipped, metadata};
use crate::domain::runner::{LoseRunner, RunnerCommand};

const PROCESS: &str = "lost_runners";

pub(super) async fn reconcile(
    processes: &Processes,
    contacts: &LastContacts<'_>,
    now: DateTime<Utc>,
) -> Result<(), SweepError> {
    let offline_after = processes.config.leases.runner_offline_after;
    let online = RunnerFilter { status: vec![RunnerStatus::Online], ..RunnerFilter::default() };
    let mut after = None;
    loop {
        let page = runners::list(&processes.read_models, &online, after.as_ref(), PAGE).await?;
        for runner in page.items {
            let last_contact = contacts.of(&runner.id, Some(&runner));
            let silence = last_contact.map_or(Duration::ZERO, |at| elapsed(at, now));
            if silence <= offline_after {
                continue;
            }
            let lose = RunnerCommand::Lose(LoseRunner { last_contact, offline_after, now });
            let runners = &processes.commands.runners;
            let done = runners.execute(&runner.id, lose, &metadata(PROCESS)).await;
            done_or_skipped(PROCESS, &StreamId::runner(&runner.id), done)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
