//! The orchestrator as tests start it: its own `main`, in a process that ends with the test.

use std::env;
use std::io::{self, Read};
use std::process::{self, ExitCode};
use std::thread;

use rivet_tests::runner::LIFELINE;

fn main() -> ExitCode {
    // A server uses its standard input for nothing else, and it is closed when the process of the test ends. A runner
    // ends with its standard input only if a test asks for it: the input of a runner that a shell put into the
    // background is empty.
    if env::args().nth(1).as_deref() == Some("serve") || env::var_os(LIFELINE).is_some() {
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(1);
        });
    }
    rivet_orchestrator::cli::main()
}
