//! The binary `rivet-orchestrator`; everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Requests allocate on one thread and free on another, at which the system allocator is slow.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    rivet_orchestrator::cli::main()
}
