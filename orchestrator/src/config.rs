//! Every setting of the server: its flag, environment variable and default. Parsed once at the start, then passed
//! down. Nothing else reads the environment.
//!
//! CONTRIBUTING.md says how to add a setting.

mod database;
mod lease;

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, RangedU64ValueParser};
use clap::{Args, Command, FromArgMatches};

pub use self::database::{DatabaseOptions, DatabaseUrl};
pub use self::lease::LeaseOptions;

/// Longest duration that a setting may have, ten years: far beyond any use, and safe to add to a date without
/// overflow.
const MAX_DURATION: Duration = Duration::from_hours(10 * 365 * 24);

/// Shortest retention (`--keep`); see [`retention`].
const MIN_RETENTION: Duration = Duration::from_hours(48);

/// What `serve` needs to know. Durations are written as 500ms, 90s, 15m, 24h.
#[derive(Debug, Clone, Args)]
#[expect(missing_docs, reason = "a doc comment of a group of settings would replace the help of the command")]
pub struct Config {
    /// Address to listen on, as IP:PORT; port 0 takes a free one
    #[arg(long, env = "RIVET_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub database: DatabaseOptions,

    #[command(flatten)]
    pub leases: LeaseOptions,

    #[command(flatten)]
    pub archive: ArchiveOptions,

    #[command(flatten)]
    pub webhooks: WebhookOptions,

    #[command(flatten)]
    pub load: LoadOptions,
}

/// When logs and jobs leave the database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveOptions {
    /// How long after its end the log of a job goes into the archive; from --log-grace to --keep [default: never]
    #[arg(long = "archive-after", env = "RIVET_ARCHIVE_AFTER", value_name = "DURATION", value_parser = positive_duration)]
    pub after: Option<Duration>,

    #[command(flatten)]
    pub(crate) retention: RetentionOptions,
}

/// How long a job is kept after its end, and its log may grow: settings of the server, and of the command `archive`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RetentionOptions {
    /// How long after its end a job is kept: then it is forgotten, with its history and its log; at least 48h and
    /// --log-grace [default: for ever]
    #[arg(long, env = "RIVET_KEEP", value_name = "DURATION", value_parser = retention)]
    pub(crate) keep: Option<Duration>,

    /// How long after its end a job still takes logs; no younger log is archived
    #[arg(long, env = "RIVET_LOG_GRACE", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(crate) log_grace: Duration,
}

/// Where webhooks may go, and for how long.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookOptions {
    /// How long a delivery of a webhook is tried before the webhook is paused
    #[arg(
        long = "webhook-retry-for",
        env = "RIVET_WEBHOOK_RETRY_FOR",
        value_name = "DURATION",
        default_value = "24h",
        value_parser = duration
    )]
    pub retry_for: Duration,

    /// Let webhooks go to private, loopback and link-local addresses
    #[arg(long = "allow-private-webhooks", env = "RIVET_ALLOW_PRIVATE_WEBHOOKS", value_parser = BoolishValueParser::new())]
    pub allow_private: bool,
}

/// How much a server takes on, and how it stops.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadOptions {
    /// How long a read waits for what was acknowledged before it; past that it is marked `Rivet-Stale`
    #[arg(long, env = "RIVET_READ_WAIT", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub read_wait: Duration,

    /// How many commands may wait to be appended; further ones are answered 503
    #[arg(
        long,
        env = "RIVET_APPEND_QUEUE",
        value_name = "COUNT",
        default_value = "4096",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000)
    )]
    pub append_queue: usize,

    /// How many connections are served at a time; further ones wait to be accepted
    #[arg(
        long,
        env = "RIVET_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value = "10000",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000)
    )]
    pub max_connections: usize,

    /// How long a server that is to stop still serves while /readyz says no, for load balancers to notice
    #[arg(long, env = "RIVET_DRAIN_DELAY", value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// How long requests under way may take to finish when the server stops
    #[arg(long, env = "RIVET_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub drain_timeout: Duration,
}

impl Config {
    /// The default settings with this database, on a free port. Ignores the environment.
    ///
    /// # Panics
    /// Never: the defaults are valid.
    #[must_use]
    pub fn for_tests(database_url: &str) -> Self {
        let command = Self::augment_args(Command::new("serve")).mut_args(|arg| arg.env(None::<&str>));
        let flags = ["serve", "--listen", "127.0.0.1:0", "--database-url", database_url];
        command
            .try_get_matches_from(flags)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .expect("invariant: the defaults are valid")
    }

    /// Checks the settings against each other; the error says which of them contradict.
    pub fn check(&self) -> Result<(), String> {
        self.archive.retention.check("--archive-after", self.archive.after)?;
        if self.archive.after.is_some() && self.database.archive_url().is_none() {
            return Err("--archive-after needs --archive-url with PostgreSQL".to_owned());
        }
        if self.database.url.is_read_only() {
            return Err("--database-url says mode=ro, and a server has to write".to_owned());
        }
        Ok(())
    }
}

impl RetentionOptions {
    /// Checks against each other how long after the end of a job its log may grow, when the log goes into the archive
    /// (by the setting `flag`), and how long the job is kept; the error says which of them contradict.
    pub(crate) fn check(&self, flag: &str, archive_after: Option<Duration>) -> Result<(), String> {
        if archive_after.is_some_and(|after| after < self.log_grace) {
            return Err(format!("{flag} must not be shorter than --log-grace: such a log may still grow"));
        }
        if self.keep.is_some_and(|keep| keep < self.log_grace) {
            return Err("--keep must not be shorter than --log-grace: the log of such a job may still grow"
                .to_owned());
        }
        if self.keep.zip(archive_after).is_some_and(|(keep, after)| keep < after) {
            return Err(format!("--keep must not be shorter than {flag}"));
        }
        Ok(())
    }
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected IP:PORT, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; durations are written as 500ms, 90s, 15m, 24h"))?;
    if duration > MAX_DURATION {
        return Err("at most ten years".to_owned());
    }
    Ok(duration)
}

/// Parses how long jobs are kept. The minimum is longer than a launch can be repeated under its idempotency key, and
/// than the job statistics reach back.
fn retention(text: &str) -> Result<Duration, String> {
    let retention = duration(text)?;
    if retention < MIN_RETENTION {
        return Err("must be at least 48h".to_owned());
    }
    Ok(retention)
}

pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("must be longer than 0".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests;
