//! `completions` and `man`: shell completions and manual pages, generated from the definition of the command line.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

/// The name of the program, as a shell calls it.
const PROGRAM: &str = "rivet-orchestrator";

/// Shells for which there are completions.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsOptions {
    /// The shell
    shell: KnownShell,
}

#[derive(Debug, Args)]
pub(super) struct ManOptions {
    /// Write the pages of all commands into this directory, instead of the first one to standard output
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

/// Prints a script for the shell.
pub(super) fn completions(options: &CompletionsOptions, command: &Command) -> anyhow::Result<()> {
    let mut command = visible(command);
    let shell = match options.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, PROGRAM, &mut script);
    if matches!(options.shell, KnownShell::Bash) {
        // clap_complete takes the hyphen in a program's name for a space before a subcommand, in one of two places:
        // https://github.com/clap-rs/clap/issues/6421
        let text = String::from_utf8(script)?;
        script = text.replace("rivet__subcmd__orchestrator", "rivet__orchestrator").into_bytes();
    }
    Ok(io::stdout().write_all(&script)?)
}

/// The command line without its hidden commands, which completions would offer too.
fn visible(command: &Command) -> Command {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new(PROGRAM).args(command.get_arguments().cloned()).subcommands(shown)
}

/// Prints the first page, or writes all of them.
pub(super) fn man(options: &ManOptions, mut command: Command) -> anyhow::Result<()> {
    command.build();
    match &options.dir {
        None => Ok(io::stdout().write_all(&page(command)?)?),
        Some(directory) => {
            fs::create_dir_all(directory)
                .with_context(|| format!("{} cannot be made", directory.display()))?;
            write_pages(directory, command)
        }
    }
}

fn write_pages(directory: &Path, command: Command) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let file = directory.join(format!("{name}.1"));
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        if subcommand.get_name() != "help" {
            write_pages(directory, subcommand.clone())?;
        }
    }
    fs::write(&file, page(command)?).with_context(|| format!("{} cannot be written", file.display()))
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
