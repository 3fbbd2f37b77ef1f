//! The command line: parses it, runs one command, and turns its outcome into an exit code.
//!
//! Each command has a file of its own, with its options and what it calls. Data goes to stdout, messages go to
//! stderr. Exit code 0 is success, 1 a failure (with its causes on stderr), 2 a command line that was not understood.
//!
//! CONTRIBUTING.md says how to add a command.

mod archive;
mod bench;
mod client;
mod completions;
mod environment;
mod events;
mod health;
mod job;
mod job_logs;
mod migrate;
mod openapi;
mod output;
mod pipeline;
mod progress;
mod rebuild;
mod replay;
mod runner;
mod serve;
mod signals;
mod store;
mod verify;

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::DatabaseOptions;
use crate::definition::{self, Evaluator};
use crate::runner::{JOB_PROCESS_COMMAND, script};
use crate::telemetry::chain;

/// Stores pipelines, launches jobs, hands them to runners, and keeps every change as an event.
#[derive(Debug, Parser)]
#[command(
    name = "rivet-orchestrator",
    version,
    override_usage = "rivet-orchestrator [COMMAND] [OPTIONS]",
    after_help = "Without a command it serves: `rivet-orchestrator` keeps everything in rivet.db and listens on \
                  http://127.0.0.1:8080. The options of serve are understood without its name, too."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and all that works behind it [default command]
    Serve(Box<serve::ServeOptions>),
    /// Bring the database schema of the event log up to date; serve does that by itself
    Migrate(DatabaseOptions),
    /// Rebuild read models from the event log, also beside a running server
    Rebuild(rebuild::RebuildOptions),
    /// Prove that the log is whole and that every read model is what the log says
    Verify(verify::VerifyOptions),
    /// Move the logs of jobs that ended long ago out of the database, also beside a running server
    Archive(archive::ArchiveOptions),
    /// Show the history of one stream: each event, and what it changed
    Replay(replay::ReplayOptions),
    /// Show the events of the log
    #[command(subcommand)]
    Events(events::EventsSubcommand),
    /// Ask a running server whether it is well
    Health(health::HealthOptions),
    /// Print the description of the API: OpenAPI 3.1
    #[command(name = "openapi")]
    OpenApi,
    /// Claim jobs from a server and run them on this machine
    Runner(runner::RunnerSubcommand),
    /// Create, revise, launch and look at pipelines of a server
    Pipeline(pipeline::PipelineCommand),
    /// Look at jobs of a server, follow their logs, cancel and repeat them
    Job(job::JobCommand),
    /// Load a running server with jobs, and measure what it can take
    Bench(bench::BenchCommand),
    /// Print completions of this command line for a shell
    Completions(completions::CompletionsOptions),
    /// Print the manual page of this program
    Man(completions::ManOptions),
    #[command(name = Evaluator::SUBCOMMAND, hide = true)]
    ReadDefinition,
    #[command(name = JOB_PROCESS_COMMAND, hide = true)]
    RunnerJob,
}

/// Runs the command that the command line of this process names.
#[must_use]
pub fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        // Child processes of this program. They run without an async runtime, so that they stay small.
        Command::ReadDefinition => definition::child::main(),
        Command::RunnerJob => script::main(),
        Command::Serve(options) => run(serve::run(*options)),
        Command::Migrate(options) => run(migrate::run(options)),
        Command::Rebuild(options) => run(rebuild::run(options)),
        Command::Verify(options) => run(verify::run(options)),
        Command::Archive(options) => run(archive::run(options)),
        Command::Replay(options) => run(replay::run(options)),
        Command::Events(command) => run(events::run(command)),
        Command::Health(options) => run(health::run(options)),
        Command::OpenApi => run(async { openapi::run() }),
        Command::Runner(options) => run(runner::run(options)),
        Command::Pipeline(command) => run(pipeline::run(command)),
        Command::Job(command) => run(job::run(command)),
        Command::Bench(command) => run(bench::run(command)),
        Command::Completions(options) => {
            run(async move { completions::completions(&options, &CommandLine::command()) })
        }
        Command::Man(options) => run(async move { completions::man(&options, CommandLine::command()) }),
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Command {
    let mut line = with_env_rules(CommandLine::command());
    let matches =
        line.try_get_matches_from_mut(with_default_command(args)).unwrap_or_else(|error| error.exit());
    let command = CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    if let Err(contradiction) = command.check() {
        named(&mut line, &matches).error(ErrorKind::ArgumentConflict, contradiction).exit();
    }
    command
}

impl Command {
    /// Checks options against each other, where clap cannot; the error says which of them contradict.
    fn check(&self) -> Result<(), String> {
        if let Self::Serve(options) = self {
            options.check()
        } else if let Self::Archive(options) = self {
            options.check()
        } else if let Self::Pipeline(command) = self {
            command.check()
        } else {
            Ok(())
        }
    }
}

/// The innermost command that a command line names.
fn named<'a>(command: &'a mut clap::Command, matches: &ArgMatches) -> &'a mut clap::Command {
    match matches.subcommand() {
        Some((name, below)) => {
            let command = command.find_subcommand_mut(name).expect("invariant: clap has found it");
            named(command, below)
        }
        None => command,
    }
}

/// Keeps the values of environment variables, which may be secrets, out of the help. A variable that is empty counts as
/// not set, since that is what compose files make of one that is not.
fn with_env_rules(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| {
            let arg = arg.hide_env_values(true);
            if arg.get_env().is_some_and(is_empty) { arg.env(None::<&str>) } else { arg }
        })
        .mut_subcommands(with_env_rules)
}

/// The command line, with `serve` added where it names no command.
fn with_default_command(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let names_none = match args.get(1).map(|first| first.to_string_lossy()) {
        None => true,
        Some(first) => first.starts_with('-') && !["-h", "--help", "-V", "--version"].contains(&&*first),
    };
    if names_none {
        args.insert(args.len().min(1), "serve".into());
    }
    args
}

#[expect(clippy::print_stderr, reason = "the one place that prints a command's failure")]
fn run(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let outcome = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(command);
        // Background tasks have nothing left to finish.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output has closed it, as `head` does when it has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> String {
        let args = with_default_command(line.split(' ').map(OsString::from));
        args.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn a_line_without_a_command_serves() {
        assert_eq!(completed("rivet"), "rivet serve");
        assert_eq!(completed("rivet --lease 5s"), "rivet serve --lease 5s");
        assert_eq!(completed("rivet serve --lease 5s"), "rivet serve --lease 5s");
        assert_eq!(completed("rivet migrate"), "rivet migrate");
        assert_eq!(completed("rivet --help"), "rivet --help");
        assert_eq!(completed("rivet -V"), "rivet -V");
    }

    #[test]
    fn the_options_of_a_client_may_stand_before_and_after_the_subcommand() {
        let parsed = |line: &str| format!("{:?}", CommandLine::try_parse_from(line.split(' ')).unwrap());
        for (command, subcommand) in [("job", "list"), ("pipeline", "versions p")] {
            let after = parsed(&format!("rivet {command} {subcommand} --server http://ci:1 --json"));
            assert!(after.contains("http://ci:1/") && after.contains("json: true"), "{after}");
            assert_eq!(parsed(&format!("rivet {command} --server http://ci:1 --json {subcommand}")), after);
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
