//! The orchestrator as tests start it: its own `main`, in a process that does not outlive the test.

use std::env;
use std::io::{self, Read};
use std::process::{self, ExitCode};
use std::thread;

use rivet_tests::runner::LIFELINE;

fn main() -> ExitCode {
    // A server waits for nothing else on its standard input, which ends with the process of the test; a runner that a
    // test started says so, unlike one that a shell put into the background, whose input is empty.
    if env::args().nth(1).as_deref() == Some("serve") || env::var_os(LIFELINE).is_some() {
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(1);
        });
    }
    rivet_orchestrator::cli::main()
}
