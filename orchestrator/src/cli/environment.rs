//! Environment variables that look like settings, and are none.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Command, CommandFactory};

use super::CommandLine;

/// What the names of all settings begin with.
const PREFIX: &str = "RIVET_";

/// What the names of variables begin with that others set: a runner for its jobs, and Kubernetes for a service that is
/// called rivet.
const OTHERS: [&str; 5] =
    ["RIVET_JOB_ID", "RIVET_PIPELINE_ID", "RIVET_ATTEMPT", "RIVET_SERVICE_", "RIVET_PORT"];

/// Warns of variables that no command has as a setting: one that is misspelt would be ignored without a word.
pub(super) fn warn_of_unknown() {
    let known = settings();
    let names = std::env::vars_os().map(|(name, _)| name);
    let unknown: Vec<String> = unknown(names, &known).collect();
    if !unknown.is_empty() {
        tracing::warn!(variables = ?unknown, "there are no settings of these names");
    }
}

/// The variables of all settings of all commands.
fn settings() -> BTreeSet<OsString> {
    let mut known = BTreeSet::new();
    collect(&CommandLine::command(), &mut known);
    known
}

fn collect(command: &Command, known: &mut BTreeSet<OsString>) {
    known.extend(command.get_arguments().filter_map(|arg| arg.get_env()).map(ToOwned::to_owned));
    command.get_subcommands().for_each(|subcommand| collect(subcommand, known));
}

fn unknown(
    names: impl Iterator<Item = OsString>,
    known: &BTreeSet<OsString>,
) -> impl Iterator<Item = String> {
    let unknown = names.filter(|name| !known.contains(name)).filter_map(|name| name.into_string().ok());
    unknown.filter(|name| name.starts_with(PREFIX) && !OTHERS.iter().any(|other| name.starts_with(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_all_commands_are_known_and_others_are_told() {
        let names = [
            "RIVET_LEASE",
            "RIVET_LEESE",
            "RIVET_PARALLEL",
            "RIVET_LOG",
            "RIVET_PORT_8080_TCP",
            "PATH",
            "LOG",
        ];
        let known = settings();
        let unknown: Vec<String> = unknown(names.map(OsString::from).into_iter(), &known).collect();
        assert_eq!(unknown, ["RIVET_LEESE"]);
    }
}
