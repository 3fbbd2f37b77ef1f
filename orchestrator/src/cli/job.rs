//! `job …`: commands about the jobs of a server.

mod history;
mod list;
mod show;

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use self::history::events;
use self::list::{ListOptions, list};
use super::client::{ClientOptions, Moment, text};
use super::job_logs;

pub(super) use self::show::{show, waiting, why};

#[derive(Debug, Args)]
pub(super) struct JobCommand {
    #[command(subcommand)]
    subcommand: JobSubcommand,

    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Subcommand)]
enum JobSubcommand {
    /// List jobs, newest first
    List(ListOptions),
    /// Show a job
    Get {
        /// Id of the job, or the beginning of it
        job: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// Print the log of a job
    Logs {
        /// Id of the job, or the beginning of it
        job: String,
        /// Follow the log until the job has ended
        #[arg(short, long)]
        follow: bool,
        /// Begin with only so many entries at the end of the log
        #[arg(long, value_name = "COUNT")]
        tail: Option<NonZeroU32>,
    },
    /// Show everything that happened to a job: when, what, by whom and why, and what came of it
    Events {
        /// Id of the job, or the beginning of it
        job: String,
    },
    /// Cancel a job
    Cancel {
        /// Id of the job, or the beginning of it
        job: String,
        /// End the job after the grace, whatever its runner does
        #[arg(long)]
        force: bool,
        /// Why, for whoever reads its history
        #[arg(long)]
        reason: Option<String>,
    },
    /// Launch an ended job again
    Retry {
        /// Id of the job, or the beginning of it
        job: String,
        /// Launch once, however often this command is repeated with this key
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Print the log of the new job until it has ended; exit code 1 unless it succeeds
        #[arg(short, long)]
        follow: bool,
    },
}

pub(super) async fn run(JobCommand { subcommand, client: options }: JobCommand) -> anyhow::Result<()> {
    match subcommand {
        JobSubcommand::List(filter) => list(filter, &options).await,
        JobSubcommand::Get { job, moment } => {
            let (client, id) = options.job(&job).await?;
            let job = client.get(&["jobs", &id], moment.query().as_slice()).await?;
            show(&client, &job, &moment, &options).await
        }
        JobSubcommand::Logs { job, follow, tail } => {
            let (client, id) = options.job(&job).await?;
            if follow {
                job_logs::follow(&client, &id, tail, options.json).await
            } else {
                job_logs::print(&client, &id, tail, options.json).await
            }
        }
        JobSubcommand::Events { job } => events(&job, &options).await,
        JobSubcommand::Cancel { job, force, reason } => {
            let (client, id) = options.job(&job).await?;
            let request = client.request(Method::POST, &["jobs", &id, "cancel"]);
            client.send(request.json(&json!({"force": force, "reason": reason}))).await?;
            let job = client.get(&["jobs", &id], &[]).await?;
            show(&client, &job, &Moment::default(), &options).await
        }
        JobSubcommand::Retry { job, key, follow } => {
            let (client, id) = options.job(&job).await?;
            let mut request = client.request(Method::POST, &["jobs", &id, "retry"]).json(&json!({}));
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            let launched = client.send(request).await?;
            if follow {
                return job_logs::follow_to_success(&client, text(&launched, "id"), options.json).await;
            }
            show(&client, &launched, &Moment::default(), &options).await
        }
    }
}
