//! The binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    rivet_orchestrator::cli::main()
}
