//! The orchestrator as tests start it: its own `main`, in a process that does not outlive the test.

use std::env;
use std::io::{self, Read};
use std::process::{self, ExitCode};
use std::thread;

fn main() -> ExitCode {
    // Only a server waits for nothing else on its standard input, which ends with the process of the test.
    if env::args().nth(1).as_deref() == Some("serve") {
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(1);
        });
    }
    rivet_orchestrator::cli::main()
}
