//! The reference runner: claims jobs from a server, runs their Lua stages on this machine, and reports.
//!
//! It uses the whole protocol, and is written to be read by authors of other runners:
//! - `claim_loop` claims jobs, and `heartbeat` says that the runner lives, also while its cores are busy;
//! - `job` is one job's life; its Lua runs in a child process (`job_process` is the runner's side, `script` the
//!   child's);
//! - `log_shipper` and `log_buffer` send its log, without a gap and without a repeated line;
//! - `client` makes the HTTP calls, `retry` says which are repeated, `held_jobs` passes cancellations on.

mod claim_loop;
mod client;
mod container;
mod execution;
mod heartbeat;
mod held_jobs;
mod job;
mod job_process;
mod log_buffer;
mod log_shipper;
mod options;
pub(crate) mod script;
mod workspace;

use anyhow::Context;
use rivet_events::id::CommandId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::claim_loop::ClaimLoop;
use self::client::Client;
use self::container::Engine;
use self::held_jobs::HeldJobs;
use self::job::JobRunner;
pub(crate) use self::job_process::JOB_PROCESS_COMMAND;
pub(crate) use self::options::RunnerOptions;
use self::workspace::Workspace;
use crate::clock::{Clock, SystemClock};

/// Lua modules that this runner provides to scripts. It registers them as capabilities.
const MODULES: [&str; 4] = ["env", "input", "log", "process"];
/// The module that is provided only where there is a container engine.
const CONTAINER_MODULE: &str = "container";

/// Works for a server until it is told to end by the first signal, then claims no more and waits for the running jobs
/// (drains). They are killed when that takes longer than the drain grace, or at the second signal. Each call of
/// `next_signal` waits for one.
pub(crate) async fn run(options: RunnerOptions, mut next_signal: impl AsyncFnMut()) -> anyhow::Result<()> {
    let work_dir = options.work_dir.clone().unwrap_or_else(|| std::env::temp_dir().join("rivet-runner"));
    Workspace::try_out(&work_dir)?;
    let held_jobs = HeldJobs::default();
    let new_client = || Client::new(options.server.clone(), options.id.to_string(), held_jobs.clone());
    let client = new_client()?;
    let drain = CancellationToken::new();
    let stop_now = CancellationToken::new();
    let running = TaskTracker::new();

    let work = async {
        let Some(engine) = drain.run_until_cancelled(Engine::find()).await else { return Ok(()) };
        let Some(registered) = drain.run_until_cancelled(register(&client, &options, engine)).await else {
            return Ok(());
        };
        registered?;
        let heart = heartbeat::spawn(new_client()?, options.heartbeat_interval, stop_now.clone())?;
        // Before the first job, which may need the room.
        workspace::remove_left_over(&work_dir, engine).await;
        let jobs = JobRunner {
            client: client.clone(),
            held_jobs: held_jobs.clone(),
            work_dir,
            engine,
            termination_grace: options.termination_grace,
            stop_now: stop_now.clone(),
        };
        ClaimLoop::new(client.clone(), jobs, running.clone()).run(options.parallel, &drain).await;
        running.close();
        tracing::info!(
            jobs = running.len(),
            "draining: no new claims; jobs may go on for {}, and a second signal kills them",
            humantime::format_duration(options.drain_grace)
        );
        running.wait().await;
        let in_order = !stop_now.is_cancelled();
        stop_now.cancel();
        heart.join().map_err(|_| anyhow::anyhow!("the heartbeat thread panicked"))?;
        // The leases of killed jobs are still this runner's.
        if in_order && let Err(error) = client.leave().await {
            tracing::warn!(%error, "the server was not told that this runner is gone");
        }
        Ok(())
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        ended = &mut work => return ended,
        () = next_signal() => drain.cancel(),
    }
    tokio::select! {
        ended = &mut work => return ended,
        () = next_signal() => tracing::warn!("a second signal: running jobs are killed"),
        () = tokio::time::sleep(options.drain_grace) => tracing::warn!("the drain takes too long: jobs are killed"),
    }
    stop_now.cancel();
    work.await
}

/// Registers the runner, and tries on until the server answers.
async fn register(client: &Client, options: &RunnerOptions, engine: Option<Engine>) -> anyhow::Result<()> {
    let mut capabilities: Vec<String> = options.capabilities.clone();
    capabilities.extend(MODULES.map(ToOwned::to_owned));
    capabilities.extend(engine.map(|_| CONTAINER_MODULE.to_owned()));
    capabilities.sort();
    capabilities.dedup();
    let boot_id = CommandId::generate().to_string();
    let registered = client.register(&capabilities, &boot_id).await;
    registered.context("the server does not take this runner")?;
    tracing::info!(server = %options.server, runner_id = %options.id, ?capabilities, "registered");
    Ok(())
}

/// The time by this machine's clock, for log entries.
fn now() -> chrono::DateTime<chrono::Utc> {
    SystemClock.now()
}
