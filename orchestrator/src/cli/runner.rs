//! `runner`: the reference runner; `runner list` and its siblings: the runners of a server.

use std::io::{self, Write};

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::client::{Client, ClientOptions, Moment, Table, items, print_json, text, time};
use super::environment;
use super::output::one_line;
use super::signals::EndSignals;
use crate::runner;
use crate::telemetry::{self, LogOptions};

/// Runs a runner, or shows the runners of a server. Clap's traits are implemented by hand, since `runner` has options
/// of its own beside its subcommands.
#[derive(Debug)]
pub(super) enum RunnerSubcommand {
    Run(Box<RunOptions>),
    OfServer(OfServer),
}

/// What can be done with the runners of a server.
#[derive(Debug, Subcommand)]
pub(super) enum OfServer {
    /// List the runners of a server, newest first
    List {
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Show a runner of a server
    Get {
        /// Name of the runner
        runner: String,
        #[command(flatten)]
        moment: Moment,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Remove a runner from the list of a server, until it makes contact again
    Remove {
        /// Name of the runner
        runner: String,
        #[command(flatten)]
        client: ClientOptions,
    },
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
        OfServer::augment_subcommands(RunOptions::augment_args(command))
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RunnerSubcommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        match matches.subcommand() {
            Some(_) => OfServer::from_arg_matches(matches).map(Self::OfServer),
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
        RunnerSubcommand::OfServer(OfServer::List { client }) => list(&client).await,
        RunnerSubcommand::OfServer(OfServer::Get { runner, moment, client: options }) => {
            let client = Client::new(&options)?;
            show(&client.get(&["runners", &runner], moment.query().as_slice()).await?, &options)
        }
        RunnerSubcommand::OfServer(OfServer::Remove { runner, client: options }) => {
            let client = Client::new(&options)?;
            client.send(client.request(Method::DELETE, &["runners", &runner])).await?;
            Ok(())
        }
    }
}

async fn list(options: &ClientOptions) -> anyhow::Result<()> {
    let list = Client::new(options)?.list(&["runners"], &[], usize::MAX).await?;
    if options.json {
        return print_json(&list);
    }
    let mut table = Table::new(&["runner", "status", "last heartbeat", "registered", "capabilities"]);
    for runner in items(&list) {
        let (heartbeat, registered) = (time(&runner["last_heartbeat_at"]), time(&runner["registered_at"]));
        table.row([
            text(runner, "id"),
            text(runner, "status"),
            &heartbeat,
            &registered,
            &capabilities(runner),
        ]);
    }
    Ok(table.print("there are no runners")?)
}

/// Prints one runner, a line for each member.
fn show(runner: &Value, options: &ClientOptions) -> anyhow::Result<()> {
    if options.json {
        return print_json(runner);
    }
    let mut out = io::stdout().lock();
    let mut line = |member: &str, value: &str| writeln!(out, "{member:<14}  {}", one_line(value));
    line("runner", text(runner, "id"))?;
    line("status", text(runner, "status"))?;
    line("last heartbeat", &time(&runner["last_heartbeat_at"]))?;
    line("registered", &time(&runner["registered_at"]))?;
    line("capabilities", &capabilities(runner))?;
    Ok(())
}

fn capabilities(runner: &Value) -> String {
    let capabilities: Vec<&str> = items(&runner["capabilities"]).iter().filter_map(Value::as_str).collect();
    match (runner["unrestricted"] == true, capabilities.is_empty()) {
        (true, _) => "(everything)".to_owned(),
        (false, true) => "-".to_owned(),
        (false, false) => capabilities.join(" "),
    }
}
