//! The child's side of a job process: evaluates the pipeline's script and runs its stages.
//!
//! A job may run anything on the machine, but it starts without the runner's environment and works in a directory of
//! its own. `super::job_process` is the runner's side, and tells what the two exchange.

mod command;
mod containers;
mod failure;
mod modules;
mod process;
mod reporter;
mod stages;
mod state;
mod value;

use std::io::{self, BufRead, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use rivet_events::job::JobResult;
use rustix::process::{Signal, getpgrp, kill_process_group};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

use self::reporter::Reporter;
use super::execution::failed;
use super::job_process::JobOrder;

/// Runs the job whose order is on standard input, and reports its result on standard output. The exit code says only
/// whether the job could be run.
#[must_use]
pub(crate) fn main() -> ExitCode {
    let reporter = Reporter::to_runner();
    match run(&reporter) {
        Ok(result) => {
            reporter.result(result);
            ExitCode::SUCCESS
        }
        Err(error) => {
            reporter.result(failed(1, format!("the job cannot be run: {error}")));
            ExitCode::FAILURE
        }
    }
}

fn run(reporter: &Reporter) -> io::Result<JobResult> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let order: JobOrder = serde_json::from_str(&line)?;
    thread::Builder::new().name("lifeline".to_owned()).spawn(end_with_the_runner)?;
    let cancelled = Arc::new(AtomicBool::new(false));
    // The flag is set in the signal handler itself. A thread that waits for the signal could set it too late: the
    // command that the script runs gets the signal too, and the script could go on with its success before that.
    flag::register(SIGTERM, Arc::clone(&cancelled))?;
    Ok(stages::run(order, reporter.clone(), cancelled))
}

/// Kills this process and all that it started as soon as the runner is gone: the job will be another runner's.
fn end_with_the_runner() {
    // The runner writes nothing after the order, so this returns when its end of the pipe is closed.
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    // Cannot fail: a process may signal its own group.
    let _ = kill_process_group(getpgrp(), Signal::KILL);
}
