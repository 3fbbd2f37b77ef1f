//! The job's side of a job process: runs the stages of a pipeline's script.
//!
//! The process is as private as its job: it may run anything on the machine, but it starts without the runner's
//! environment, and works in a directory of its own. See `super::job_process` for what it exchanges with the
//! runner.

mod command;
mod containers;
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

use rustix::process::{Signal, getpgrp, kill_process_group};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

use self::reporter::Reporter;
use super::execution::JobResult;
use super::job_process::Order;

/// Runs the job that is ordered on standard input. The exit code says only whether a result was reported.
#[must_use]
pub fn main() -> ExitCode {
    let reporter = Reporter::to_runner();
    match obey(&reporter) {
        Ok(result) => {
            reporter.result(result);
            ExitCode::SUCCESS
        }
        Err(error) => {
            reporter.result(JobResult::failed(1, format!("the job cannot be run: {error}")));
            ExitCode::FAILURE
        }
    }
}

fn obey(reporter: &Reporter) -> io::Result<JobResult> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    thread::Builder::new().name("lifeline".to_owned()).spawn(end_with_the_runner)?;
    let cancelled = Arc::new(AtomicBool::new(false));
    // In the signal's handler itself: a thread of its own could learn of the cancellation after the script has seen
    // its command, which gets the signal too, come to a good end.
    flag::register(SIGTERM, Arc::clone(&cancelled))?;
    Ok(stages::run(order, reporter.clone(), cancelled))
}

/// Ends this process and all that it started as soon as the runner is gone: its job will be another runner's.
fn end_with_the_runner() {
    // The runner writes nothing after the order; the only news is the end.
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    // Fails for nobody: a process may signal its own group.
    let _ = kill_process_group(getpgrp(), Signal::KILL);
}
