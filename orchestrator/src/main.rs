//! The binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Requests allocate on one thread and free on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    rivet_orchestrator::cli::main()
}
