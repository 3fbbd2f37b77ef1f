//! The binary.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rivet_orchestrator::app::App;
use rivet_orchestrator::clock::SystemClock;
use rivet_orchestrator::config::Config;
use rivet_orchestrator::definition::{Evaluator, child};
use rivet_orchestrator::runner::{self, RunnerOptions};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "rivet-orchestrator")]
enum Command {
    /// Serve the API.
    Serve(Box<Config>),
    /// Claim jobs from a server and run them on this machine.
    Runner(Box<RunnerOptions>),
}

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some(Evaluator::SUBCOMMAND) => return Ok(child::main()),
        Some(runner::JOB_PROCESS_COMMAND) => return Ok(runner::script::main()),
        _ => {}
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let command = Command::parse();
    tokio::runtime::Runtime::new()?.block_on(async {
        match command {
            Command::Serve(config) => {
                let listener = tokio::net::TcpListener::bind(config.listen).await?;
                tracing::info!(address = %listener.local_addr()?, "listening");
                let app = App::build(*config, Arc::new(SystemClock)).await?;
                app.run(listener, tokio_util::sync::CancellationToken::new()).await;
                Ok(ExitCode::SUCCESS)
            }
            Command::Runner(options) => {
                let (mut terminate, mut interrupt) =
                    (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
                let shutdown = async move {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                };
                runner::run(*options, shutdown).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}
