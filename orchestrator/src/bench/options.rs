//! The command line options of a run.

use std::time::Duration;

use crate::config::{duration, positive_duration};
use crate::server_url::ServerUrl;

/// Longest text of a log entry.
const MAX_ENTRY_BYTES: i64 = 1 << 20;

/// Options of `bench`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BenchOptions {
    /// Server to load, by plain HTTP.
    #[arg(long, env = "RIVET_SERVER", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: ServerUrl,
    /// Runners that work at the same time, each on a connection of its own; with --rate, the most that do.
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub workers: u32,
    /// How the runners speak: `a` sends a status and names the entries of a log, `b` does neither.
    #[arg(long, value_enum, default_value = "a")]
    pub dialect: Dialect,
    /// How long to measure.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub duration: Duration,
    /// Launch so many jobs and end, instead of after a time; all of them are measured.
    #[arg(
        long,
        value_name = "COUNT",
        conflicts_with_all = ["duration", "warm_up"],
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub lifecycles: Option<u64>,
    /// How long to load the server before measuring.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Launch so many jobs a second, whether or not the earlier ones have ended, instead of one after the other.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// Batches of log entries that each job sends.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub log_batches: u32,
    /// Entries of each batch.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub log_entries: u32,
    /// Bytes of text of each entry.
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=MAX_ENTRY_BYTES))]
    pub entry_bytes: u32,
    /// Idle runners beside the load that poll for jobs.
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub pollers: u32,
    /// Time between two polls of an idle runner.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = positive_duration)]
    pub poll_interval: Duration,
    /// Clients beside the load that follow live streams: half of them all events, half of them logs of jobs under
    /// way.
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub followers: u32,
    /// Process id of the server on this machine, to measure its processor time and memory.
    #[arg(long)]
    pub pid: Option<u32>,
}

/// The two dialects of the protocol that runners speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    /// `claim`, a status, `{entries}`, `{result}`.
    A,
    /// `execute`, a bare array of entries, `{status, result}`.
    B,
}

impl BenchOptions {
    /// How long to measure; `None` where a number of jobs is given instead.
    pub(super) fn time_limit(&self) -> Option<Duration> {
        self.lifecycles.is_none().then_some(self.duration)
    }

    /// How long to load before that; `None` where a number of jobs is given instead.
    pub(super) fn warm_up(&self) -> Option<Duration> {
        self.lifecycles.is_none().then_some(self.warm_up)
    }

    /// Entries of the whole log of a job.
    pub(super) fn entries_of_a_job(&self) -> u64 {
        u64::from(self.log_batches) * u64::from(self.log_entries)
    }

    /// Bytes of text of a batch.
    pub(super) fn text_of_a_batch(&self) -> u64 {
        u64::from(self.log_entries) * u64::from(self.entry_bytes)
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1e6).contains(rate));
    rate.ok_or("jobs a second, from 0.001 to 1000000")
}
