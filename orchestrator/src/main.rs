//! The binary.

use std::process::ExitCode;

use rivet_orchestrator::definition::{Evaluator, child};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(Evaluator::SUBCOMMAND) => child::main(),
        _ => ExitCode::FAILURE,
    }
}
