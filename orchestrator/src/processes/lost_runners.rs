//! Notes runners that fell silent and hold nothing.

use chrono::{DateTime, Utc};
use rivet_projections::runners::{self, RunnerStatus};

use super::{PAGE, Processes, SweepError, metadata};
use crate::domain::runner::{LoseRunner, RunnerCommand};

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    let offline_after = processes.config.runner_offline_after;
    let mut after = None;
    loop {
        let online = Some(RunnerStatus::Online);
        let page = runners::list(&processes.read_models, online, after.as_ref(), PAGE).await?;
        for runner in page.items {
            let last_contact = processes.last_contact_of(&runner.id, Some(&runner));
            let silence = last_contact.and_then(|at| (now - at).to_std().ok()).unwrap_or_default();
            if silence <= offline_after {
                continue;
            }
            let lose = RunnerCommand::Lose(LoseRunner { last_contact, offline_after, now });
            let commands = &processes.commands.runners;
            let done = commands.execute(&runner.id, lose, &metadata("lost_runners")).await;
            done.map_err(|error| SweepError::Command(error.into()))?;
            // Its next word is worth recording, whenever it comes.
            processes.liveness.forget(&runner.id);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
