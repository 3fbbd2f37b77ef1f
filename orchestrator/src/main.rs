//! The binary.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use rivet_orchestrator::app::App;
use rivet_orchestrator::clock::SystemClock;
use rivet_orchestrator::config::Config;
use rivet_orchestrator::definition::{Evaluator, child};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(Evaluator::SUBCOMMAND) {
        return child::main();
    }
    let cli = Cli::parse();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind(cli.config.listen).await.unwrap();
        eprintln!("listening on http://{}", listener.local_addr().unwrap());
        let app = App::build(cli.config, Arc::new(SystemClock)).await.unwrap();
        app.run(listener, Default::default()).await;
    });
    ExitCode::SUCCESS
}
