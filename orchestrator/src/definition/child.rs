//! The child process that reads one script: it limits its own resources, reads the script from stdin, writes the
//! answer to stdout, and exits.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Definition, DefinitionError, Limit, MAX_SCRIPT_BYTES, reading, sandbox};

/// Largest answer, in bytes.
pub(super) const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Resource limits of the process: CPU in seconds, memory and file size in bytes. Memory is `RLIMIT_DATA`, which does
/// not count the mapped binary; beside the 64 MiB of the Lua state it leaves room for reading the definition out of
/// it.
const LIMITS: [(Resource, u64); 6] = [
    (Resource::Cpu, 1),
    (Resource::Data, 96 << 20),
    (Resource::Nofile, 3),
    (Resource::Fsize, 0),
    (Resource::Nproc, 0),
    (Resource::Core, 0),
];

/// The JSON document on stdout.
pub(super) type Answer = Result<Definition, DefinitionError>;

/// Reads one definition. The exit code is 0 if there is an answer on stdout, which may be an error of the script.
#[must_use]
pub fn main() -> ExitCode {
    match read_and_answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read_and_answer() -> io::Result<()> {
    for (resource, limit) in LIMITS {
        // At the soft limit the process gets SIGXCPU, by which the parent tells it from a process that the kernel has
        // killed for lack of memory (SIGKILL, as at the hard limit).
        let hard = if resource == Resource::Cpu { limit + 1 } else { limit };
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(hard) })?;
    }
    let mut script = String::new();
    io::stdin().take(MAX_SCRIPT_BYTES as u64).read_to_string(&mut script)?;
    let mut answer = serde_json::to_vec(&read(&script))?;
    if answer.len() > MAX_ANSWER_BYTES {
        answer = serde_json::to_vec(&Answer::Err(Limit::Output.into()))?;
    }
    io::stdout().write_all(&answer)
}

fn read(script: &str) -> Answer {
    sandbox::run(script, reading::definition)
}
