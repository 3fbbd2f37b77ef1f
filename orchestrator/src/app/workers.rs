//! The background tasks of a server.

use rivet_events::contacts::Contacts;
use rivet_events::database::Database;
use rivet_events::runner::{RunnerEvent, RunnerLost, RunnerRemoved};
use rivet_events::{Envelope, Event, Position, StreamType};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::archive::BackgroundArchiver;
use crate::dispatch::Dispatcher;
use crate::http::AppState;
use crate::liveness::Liveness;
use crate::processes::Processes;
use crate::webhooks::{self, Webhooks};

/// Starts the tasks that requests depend on, which stop at `drained`, when the last request has been answered; `changes`
/// is sent the position of each event of a webhook.
pub(super) fn spawn_for_requests(
    state: &AppState,
    contacts: Contacts,
    changes: watch::Sender<Position>,
    drained: &CancellationToken,
) {
    let workers = &state.tasks;
    let (read_models, stop) = (state.read_models.clone(), drained.clone());
    workers.spawn(async move { read_models.run(stop).await });

    let (commands, head, stop) = (state.commands.clone(), state.began_at, drained.clone());
    let (liveness, dispatcher) = (state.liveness.clone(), state.dispatcher.clone());
    let tell = move |envelope: &Envelope| tell_of_event(envelope, &liveness, &dispatcher, &changes);
    workers.spawn(async move { commands.follow(head, tell, stop).await });

    let (dispatcher, clock) = (state.dispatcher.clone(), state.clock.clone());
    let (queue, stop) = (state.read_models.clone(), drained.clone());
    workers.spawn(async move { dispatcher.run(queue, clock, stop).await });

    let (liveness, clock, stop) = (state.liveness.clone(), state.clock.clone(), drained.clone());
    workers.spawn(async move { liveness.tell(contacts, &*clock, stop).await });
}

/// Starts the reconcilers, the archiver and the webhook deliveries, which stop at `shutdown`.
pub(super) fn spawn_background(
    state: &AppState,
    database: &Database,
    contacts: Contacts,
    changes: watch::Sender<Position>,
    shutdown: &CancellationToken,
) {
    let workers = &state.tasks;
    let processes = Processes {
        commands: state.commands.clone(),
        read_models: state.read_models.clone(),
        liveness: state.liveness.clone(),
        contacts,
        deliveries: state.deliveries.clone(),
        connections: state.connections.clone(),
        clock: state.clock.clone(),
        config: state.config.clone(),
    };
    workers.spawn(processes.run(shutdown.clone()));

    let archive = &state.config.archive;
    if archive.after.is_some() || archive.retention.keep.is_some() {
        let archiver = BackgroundArchiver {
            commands: state.commands.clone(),
            read_models: state.read_models.clone(),
            database: database.clone(),
            clock: state.clock.clone(),
            metrics: state.metrics.workers.clone(),
            archive_after: archive.after,
            keep: archive.retention.keep,
        };
        workers.spawn(archiver.run(shutdown.clone()));
    }

    let webhooks = Webhooks {
        commands: state.commands.clone(),
        read_models: state.read_models.clone(),
        feed: state.feed.clone(),
        deliveries: state.deliveries.clone(),
        metrics: state.metrics.workers.clone(),
        sender: webhooks::Sender::new(state.config.webhooks.allow_private),
        clock: state.clock.clone(),
        config: state.config.clone(),
        changes,
    };
    workers.spawn(webhooks.run(shutdown.clone()));
}

/// Tells the parts of a process what an event of the log changes for them: the claims that wait may be offered other
/// jobs, a removed or lost runner has its next contact recorded, and the webhooks to deliver to are listed again.
fn tell_of_event(
    envelope: &Envelope,
    liveness: &Liveness,
    dispatcher: &Dispatcher,
    webhooks: &watch::Sender<Position>,
) {
    dispatcher.note(envelope);
    if envelope.stream.kind == StreamType::Webhook {
        webhooks.send_replace(envelope.position);
    }
    let Event::Runner(event) = &envelope.event else { return };
    match event {
        RunnerEvent::Removed(RunnerRemoved { runner_id, .. })
        | RunnerEvent::Lost(RunnerLost { runner_id, .. }) => {
            liveness.unrecorded(runner_id, envelope.sequence);
        }
        RunnerEvent::Registered(_) | RunnerEvent::HeartbeatRecorded(_) | RunnerEvent::Returned(_) => {}
    }
}
