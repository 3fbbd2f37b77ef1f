//! Folds runner events, and the job events of their attempts, into runners.

use rivet_events::id::{JobId, RunnerId};
use rivet_events::job::JobEvent;
use rivet_events::runner::{Capabilities, Registration, RunnerEvent};
use rivet_events::{Envelope, Event, StreamType};

use super::{HeldJob, Runner, RunnerStatus};
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Runner`]s, by runner id.
#[derive(Debug)]
pub(crate) struct Runners;

impl Projection for Runners {
    const NAME: &'static str = "runners";
    const VERSION: u32 = 5;
    const STREAMS: &'static [StreamType] = &[StreamType::Runner, StreamType::Job];
    const SCHEMA: Schema = Schema {
        columns: &[Column::text("status"), Column::integer("registered_at")],
        indexes: &[&["registered_at", "key"], &["status", "registered_at"]],
    };
    type Row = Runner;

    fn key(envelope: &Envelope) -> Option<String> {
        if let Event::Job(event) = &envelope.event {
            event.runner_id().map(|id| id.as_str().to_owned())
        } else {
            Some(envelope.stream.id.clone())
        }
    }

    fn apply(row: Option<Runner>, envelope: &Envelope) -> Option<Runner> {
        let runner = if let Event::Runner(event) = &envelope.event {
            evolve(row, event)
        } else if let Event::Job(event) = &envelope.event {
            hold(row, event)
        } else {
            row
        }?;
        let forgotten = runner.registered_at.is_none() && runner.held.is_empty();
        (!forgotten).then(|| with_status(runner))
    }
}

fn with_status(runner: Runner) -> Runner {
    let status = if !runner.held.is_empty() {
        RunnerStatus::Busy
    } else if runner.lost_at.is_some() {
        RunnerStatus::Offline
    } else {
        RunnerStatus::Online
    };
    Runner { status, ..runner }
}

fn unknown(id: &RunnerId) -> Runner {
    Runner {
        id: id.clone(),
        status: RunnerStatus::Online,
        capabilities: Capabilities::default(),
        boot_id: None,
        registered_at: None,
        last_heartbeat_at: None,
        lost_at: None,
        held: Vec::new(),
    }
}

fn evolve(row: Option<Runner>, event: &RunnerEvent) -> Option<Runner> {
    match event {
        RunnerEvent::Registered(registered) => {
            let mut runner = row.unwrap_or_else(|| unknown(&registered.runner_id));
            if let Some(boot_id) = &registered.boot_id {
                runner.held.iter_mut().for_each(|held| compare_process(held, boot_id));
            }
            Some(Runner {
                capabilities: registered.capabilities.clone(),
                boot_id: registered.boot_id.clone(),
                registered_at: runner.registered_at.or(Some(registered.registered_at)),
                last_heartbeat_at: Some(registered.registered_at),
                lost_at: None,
                ..runner
            })
        }
        RunnerEvent::HeartbeatRecorded(heartbeat) => {
            let row = match heartbeat.registration.clone() {
                // The stream may have been read from here on only.
                Some(Registration { capabilities, boot_id, registered_at }) => {
                    let runner = row.unwrap_or_else(|| unknown(&heartbeat.runner_id));
                    Some(Runner { capabilities, boot_id, registered_at: Some(registered_at), ..runner })
                }
                None => row,
            };
            row.map(|runner| Runner { last_heartbeat_at: Some(heartbeat.heartbeat_at), ..runner })
        }
        RunnerEvent::Lost(lost) => row.map(|runner| Runner {
            last_heartbeat_at: runner.last_heartbeat_at.max(Some(lost.last_seen_at)),
            lost_at: Some(lost.lost_at),
            ..runner
        }),
        RunnerEvent::Returned(returned) => row.map(|runner| Runner {
            last_heartbeat_at: Some(returned.returned_at),
            lost_at: None,
            ..runner
        }),
        RunnerEvent::Removed(removed) => {
            row.map(|runner| Runner { held: runner.held, ..unknown(&removed.runner_id) })
        }
    }
}

/// Marks a held job as orphaned if the process that registers now is not the one that claimed it. Where that one is
/// not known, it may be this one.
fn compare_process(held: &mut HeldJob, boot_id: &str) {
    let claimed_by = held.boot_id.get_or_insert_with(|| boot_id.to_owned());
    held.orphaned |= claimed_by != boot_id;
}

fn hold(row: Option<Runner>, event: &JobEvent) -> Option<Runner> {
    match event {
        JobEvent::Claimed(claimed) => {
            let mut runner = row.unwrap_or_else(|| unknown(&claimed.runner_id));
            runner.held.push(HeldJob {
                job_id: claimed.job_id,
                attempt: claimed.attempt,
                lease_id: claimed.lease_id,
                fencing: claimed.fencing,
                cancelling: false,
                boot_id: runner.boot_id.clone(),
                orphaned: false,
            });
            Some(runner)
        }
        JobEvent::Started(started) => row.map(|mut runner| {
            for held in runner.held.iter_mut().filter(|held| held.job_id == started.job_id) {
                held.fencing = started.fencing;
            }
            runner
        }),
        JobEvent::LeaseShown(shown) => row.map(|mut runner| {
            for held in runner.held.iter_mut().filter(|held| held.job_id == shown.job_id) {
                held.fencing = true;
            }
            runner
        }),
        JobEvent::CancelRequested(request) => row.map(|mut runner| {
            for held in runner.held.iter_mut().filter(|held| held.job_id == request.job_id) {
                held.cancelling = true;
            }
            runner
        }),
        JobEvent::LeaseExpired(expired) => row.map(|runner| without(runner, expired.job_id)),
        JobEvent::Requeued(requeued) => row.map(|runner| without(runner, requeued.job_id)),
        JobEvent::Completed(completed) => row.map(|runner| without(runner, completed.job_id)),
        JobEvent::Cancelled(cancelled) => row.map(|runner| without(runner, cancelled.job_id)),
        JobEvent::TimedOut(timed_out) => row.map(|runner| without(runner, timed_out.job_id)),
        JobEvent::Launched(_) | JobEvent::ReportRefused(_) | JobEvent::Purged(_) => row,
    }
}

fn without(mut runner: Runner, job: JobId) -> Runner {
    runner.held.retain(|held| held.job_id != job);
    runner
}
