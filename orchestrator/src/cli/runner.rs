//! `runner`: the reference runner; `runner list`: the runners of a server.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use serde_json::Value;

use super::client::{Client, ClientOptions, Table, items, print_json, text, time};
use super::environment;
use super::signals::EndSignals;
use crate::runner;
use crate::telemetry::{self, LogOptions};

const LIST: &str = "list";

/// Runs a runner, or lists the runners of a server. Clap's traits are implemented by hand, since `runner` has options
/// of its own beside those of its subcommand `list`.
#[derive(Debug)]
pub(super) enum RunnerSubcommand {
    Run(Box<RunOptions>),
    List(ClientOptions),
}

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    runner: runner::RunnerOptions,

    #[command(flatten)]
    log: LogOptions,
}

impl Args for RunnerSubcommand {
    fn augment_args(command: Command) -> Command {
        // The text is set last, since `augment_args` sets one of its own.
        let list = ClientOptions::augment_args(Command::new(LIST))
            .about("List the runners of a server, newest first");
        RunOptions::augment_args(command)
            .subcommand(list)
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RunnerSubcommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        match matches.subcommand_matches(LIST) {
            Some(list) => ClientOptions::from_arg_matches(list).map(Self::List),
            None => RunOptions::from_arg_matches(matches).map(Box::new).map(Self::Run),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(super) async fn run(command: RunnerSubcommand) -> anyhow::Result<()> {
    match command {
        RunnerSubcommand::Run(options) => {
            let _telemetry = telemetry::init(&options.log).map_err(anyhow::Error::from_boxed)?;
            environment::warn_of_unknown();
            let mut signals = EndSignals::listen()?;
            runner::run(options.runner, async || {
                signals.next().await;
            })
            .await
        }
        RunnerSubcommand::List(options) => list(&options).await,
    }
}

async fn list(options: &ClientOptions) -> anyhow::Result<()> {
    let list = Client::new(options)?.list(&["runners"], &[], usize::MAX).await?;
    if options.json {
        return print_json(&list);
    }
    let mut table = Table::new(&["runner", "status", "last heartbeat", "registered", "capabilities"]);
    for runner in items(&list) {
        let capabilities: Vec<&str> =
            items(&runner["capabilities"]).iter().filter_map(Value::as_str).collect();
        let capabilities = match (runner["unrestricted"] == true, capabilities.is_empty()) {
            (true, _) => "(everything)".to_owned(),
            (false, true) => "-".to_owned(),
            (false, false) => capabilities.join(" "),
        };
        let (heartbeat, registered) = (time(&runner["last_heartbeat_at"]), time(&runner["registered_at"]));
        table.row([text(runner, "id"), text(runner, "status"), &heartbeat, &registered, &capabilities]);
    }
    Ok(table.print("there are no runners")?)
}
