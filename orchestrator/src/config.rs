//! Every setting of the server: its flag, environment variable and default. Parsed once at the start, then passed
//! down.
//!
//! To add a setting: one field of [`Config`], whose doc comment is its help text. Nothing else reads the environment.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, RangedU64ValueParser};
use clap::{Args, Command, FromArgMatches};
use percent_encoding::percent_decode_str;
use rivet_events::segments::ArchiveUrl;

use crate::domain::job::LeasePolicy;

/// Longest duration that a setting may have, ten years: far beyond any use, and safe to add to a date without
/// overflow.
const MAX_DURATION: Duration = Duration::from_hours(10 * 365 * 24);

/// Shortest retention (`--keep`); see [`retention`].
const MIN_RETENTION: Duration = Duration::from_hours(48);

/// What `serve` needs to know. Durations are written as 500ms, 90s, 15m, 24h.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address to listen on, as IP:PORT; port 0 takes a free one
    #[arg(long, env = "RIVET_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    #[expect(missing_docs, reason = "a doc comment here would replace the help of the command")]
    #[command(flatten)]
    pub database: DatabaseOptions,

    /// How long a runner that echoes its lease may be silent before its job goes back into the queue
    #[arg(long, env = "RIVET_LEASE", value_name = "DURATION", default_value = "120s", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub lease: Duration,

    /// How long a runner that does not echo its lease may be silent before its attempt fails as `runner_lost`
    #[arg(long, env = "RIVET_LEGACY_LEASE", value_name = "DURATION", default_value = "15m", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub legacy_lease: Duration,

    /// How long a claimed job may show no sign of a start, where the runner echoes its lease
    #[arg(long, env = "RIVET_START_TIMEOUT", value_name = "DURATION", default_value = "2m", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub start_timeout: Duration,

    /// How long a claimed job may show no sign of a start, where the runner does not echo its lease
    #[arg(long, env = "RIVET_LEGACY_START_TIMEOUT", value_name = "DURATION", default_value = "10m", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub legacy_start_timeout: Duration,

    /// How many attempts in a row a job may lose its runner before it fails
    #[arg(long, env = "RIVET_MAX_LOST_ATTEMPTS", value_name = "COUNT", default_value = "3", value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000), help_heading = "Leases and deadlines")]
    pub max_lost_attempts: u32,

    /// How long after a start nothing expires, so that every runner can speak first [default: the lease]
    #[arg(long, env = "RIVET_STARTUP_GRACE", value_name = "DURATION", value_parser = duration, help_heading = "Leases and deadlines")]
    pub startup_grace: Option<Duration>,

    /// How long a runner without a job may be silent before it counts as offline
    #[arg(long, env = "RIVET_RUNNER_OFFLINE_AFTER", value_name = "DURATION", default_value = "90s", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub runner_offline_after: Duration,

    /// How often leases and deadlines are looked at
    #[arg(long, env = "RIVET_SWEEP_INTERVAL", value_name = "DURATION", default_value = "5s", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub sweep_interval: Duration,

    /// How long a job may wait in the queue before it ends as `TimedOut`
    #[arg(long, env = "RIVET_QUEUE_TIMEOUT", value_name = "DURATION", default_value = "24h", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub queue_timeout: Duration,

    /// How long a job may run, where its pipeline does not say
    #[arg(long, env = "RIVET_RUN_TIMEOUT", value_name = "DURATION", default_value = "1h", value_parser = positive_duration, help_heading = "Leases and deadlines")]
    pub run_timeout: Duration,

    /// How long a job that is to stop may take before it can be ended without its runner
    #[arg(long, env = "RIVET_CANCEL_GRACE", value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Leases and deadlines")]
    pub cancel_grace: Duration,

    /// How long after its end a job still takes logs
    #[arg(long, env = "RIVET_LOG_GRACE", value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "Leases and deadlines")]
    pub log_grace: Duration,

    /// How long after its end the log of a job goes into the archive; from --log-grace to --keep [default: never]
    #[arg(long, env = "RIVET_ARCHIVE_AFTER", value_name = "DURATION", value_parser = positive_duration, help_heading = "Archive")]
    pub archive_after: Option<Duration>,

    /// How long after its end a job is kept: then it is forgotten, with its history and its log; at least 48h and
    /// --log-grace [default: for ever]
    #[arg(long, env = "RIVET_KEEP", value_name = "DURATION", value_parser = retention, help_heading = "Archive")]
    pub keep: Option<Duration>,

    /// How far apart the recorded heartbeats of a runner are; those in between only renew its lease
    #[arg(long, env = "RIVET_HEARTBEAT_RESOLUTION", value_name = "DURATION", default_value = "30s", value_parser = duration, help_heading = "Leases and deadlines")]
    pub heartbeat_resolution: Duration,

    /// How long a delivery of a webhook is tried before the webhook is paused
    #[arg(long, env = "RIVET_WEBHOOK_RETRY_FOR", value_name = "DURATION", default_value = "24h", value_parser = duration, help_heading = "Webhooks")]
    pub webhook_retry_for: Duration,

    /// Let webhooks go to private, loopback and link-local addresses
    #[arg(long, env = "RIVET_ALLOW_PRIVATE_WEBHOOKS", value_parser = BoolishValueParser::new(), help_heading = "Webhooks")]
    pub allow_private_webhooks: bool,

    /// How long a read waits for what was acknowledged before it; past that it is marked `Rivet-Stale`
    #[arg(long, env = "RIVET_READ_WAIT", value_name = "DURATION", default_value = "2s", value_parser = duration, help_heading = "Load")]
    pub read_wait: Duration,

    /// How many commands may wait to be appended; further ones are answered 503
    #[arg(long, env = "RIVET_APPEND_QUEUE", value_name = "COUNT", default_value = "4096", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000), help_heading = "Load")]
    pub append_queue: usize,

    /// How many connections are served at a time; further ones wait to be accepted
    #[arg(long, env = "RIVET_MAX_CONNECTIONS", value_name = "COUNT", default_value = "10000", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000), help_heading = "Load")]
    pub max_connections: usize,

    /// How long a server that is to stop still serves while /readyz says no, for load balancers to notice
    #[arg(long, env = "RIVET_DRAIN_DELAY", value_name = "DURATION", default_value = "0s", value_parser = duration, help_heading = "Load")]
    pub drain_delay: Duration,

    /// How long requests under way may take to finish when the server stops
    #[arg(long, env = "RIVET_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration, help_heading = "Load")]
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
    pub fn check(&self) -> Result<(), &'static str> {
        check_ages(self.log_grace, self.archive_after, self.keep)?;
        if self.archive_after.is_some() && self.database.archive_url().is_none() {
            return Err("--archive-after needs --archive-url with PostgreSQL");
        }
        Ok(())
    }

    /// The durations by which the lease of a job expires.
    #[must_use]
    pub fn lease_policy(&self) -> LeasePolicy {
        LeasePolicy {
            lease: self.lease,
            legacy_lease: self.legacy_lease,
            start_timeout: self.start_timeout,
            legacy_start_timeout: self.legacy_start_timeout,
            max_lost_attempts: self.max_lost_attempts,
        }
    }

    /// How long after a start no lease expires, so that every runner has had the time to make contact.
    #[must_use]
    pub fn startup_grace(&self) -> Duration {
        self.startup_grace.unwrap_or(self.lease)
    }
}

/// The options for storage, which all commands have in common.
#[derive(Debug, Clone, Args)]
pub struct DatabaseOptions {
    /// Where everything is kept: `sqlite://relative.db`, `sqlite:///absolute.db` or `postgres://user@host/name`
    #[arg(
        long = "database-url",
        env = "RIVET_DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://rivet.db"
    )]
    pub url: DatabaseUrl,

    /// Where archived job logs are kept: `file:///directory` or `s3://bucket/prefix` [default: beside the SQLite file, in
    /// NAME.archive; none with PostgreSQL]
    #[arg(long, env = "RIVET_ARCHIVE_URL", value_name = "URL")]
    pub archive_url: Option<ArchiveUrl>,
}

impl DatabaseOptions {
    /// Where archived job logs are stored. Defaults to a directory beside the SQLite file; PostgreSQL has no default,
    /// since its replicas need not share a directory.
    #[must_use]
    pub fn archive_url(&self) -> Option<ArchiveUrl> {
        let beside =
            || self.url.sqlite_file().map(|file| ArchiveUrl::Directory(format!("{file}.archive").into()));
        self.archive_url.clone().or_else(beside)
    }
}

/// A database URL that may hold a password, which neither `Display` nor `Debug` shows.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL as given, password included. Only for the database driver.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The path of an SQLite database file, percent-decoded as the driver does it; `None` for PostgreSQL.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<Cow<'_, str>> {
        let rest = self.0.strip_prefix("sqlite:")?;
        let file = rest.strip_prefix("//").unwrap_or(rest).split('?').next()?;
        Some(percent_decode_str(file).decode_utf8_lossy())
    }
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    /// Refuses an SQLite URL that names no file: SQLite would give each connection a database of its own in memory,
    /// which the others do not see. Everything else is left to the driver to check.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let url = Self(url.to_owned());
        let is_in_memory = url.0.split(['?', '&']).skip(1).any(|option| option == "mode=memory");
        match url.sqlite_file() {
            Some(file) if is_in_memory || ["", ":memory:"].contains(&&*file) => {
                Err("it names no file: expected sqlite://relative.db or sqlite:///absolute.db")
            }
            Some(_) | None => Ok(url),
        }
    }
}

/// Shows the SQLite file, or the URL of the PostgreSQL server without password and options.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.sqlite_file() {
            return f.write_str(&file);
        }
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let name = tail.split(['?', '#']).next().unwrap_or_default();
        match authority.rsplit_once('@') {
            // An unescaped `/`, `?` or `#` in the password has ended the authority early: show nothing of it. The
            // driver will refuse the URL.
            _ if tail.contains('@') => write!(f, "{scheme}://***"),
            None => write!(f, "{scheme}://{authority}{name}"),
            Some((user, host)) => match user.split_once(':') {
                None => write!(f, "{scheme}://{user}@{host}{name}"),
                Some((user, _)) => write!(f, "{scheme}://{user}:***@{host}{name}"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

/// Checks against each other how long after the end of a job its log may grow, when the log goes into the archive, and
/// how long the job is kept.
pub(crate) fn check_ages(
    log_grace: Duration,
    archive_after: Option<Duration>,
    keep: Option<Duration>,
) -> Result<(), &'static str> {
    if archive_after.is_some_and(|after| after < log_grace) {
        return Err("a log must not be archived before --log-grace is over: it may still grow");
    }
    if keep.is_some_and(|keep| keep < log_grace) {
        return Err("--keep must not be shorter than --log-grace: the log of such a job may still grow");
    }
    if keep.zip(archive_after).is_some_and(|(keep, after)| keep < after) {
        return Err("--keep must not be shorter than the time until a log is archived");
    }
    Ok(())
}

/// Parses how long jobs are kept. The minimum is longer than a launch can be repeated under its idempotency key, and
/// than the job statistics reach back.
pub(crate) fn retention(text: &str) -> Result<Duration, String> {
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
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Config, String> {
        let command = Config::augment_args(Command::new("serve").no_binary_name(true))
            .mut_args(|arg| arg.env(None::<&str>));
        let matches = command.try_get_matches_from(flags).map_err(|error| error.to_string())?;
        Config::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn the_startup_grace_is_the_lease_unless_set() {
        let grace = |flags: &[&str]| parse(flags).unwrap().startup_grace();
        assert_eq!(grace(&[]), Duration::from_mins(2));
        assert_eq!(grace(&["--lease", "7s"]), Duration::from_secs(7));
        assert_eq!(grace(&["--lease", "7s", "--startup-grace", "0s"]), Duration::ZERO);
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        let config = parse(&["--read-wait", "500ms", "--queue-timeout", "1h 30m"]).unwrap();
        assert_eq!(config.read_wait, Duration::from_millis(500));
        assert_eq!(config.queue_timeout, Duration::from_mins(90));
        assert!(parse(&["--lease", "90"]).unwrap_err().contains("500ms, 90s, 15m, 24h"));
        assert!(parse(&["--lease", "11years"]).unwrap_err().contains("at most ten years"));
    }

    #[test]
    fn what_would_make_no_sense_as_zero_is_refused() {
        for flag in ["--lease", "--sweep-interval", "--run-timeout"] {
            assert!(parse(&[flag, "0s"]).unwrap_err().contains("must be longer than 0"), "{flag}");
        }
        assert!(parse(&["--max-lost-attempts", "0"]).unwrap_err().contains("0 is not in 1..=1000"));
        assert!(parse(&["--append-queue", "0"]).is_err());
    }

    #[test]
    fn an_archive_has_a_place_and_takes_no_log_that_may_grow_or_is_gone() {
        let check = |flags: &[&str]| parse(flags).unwrap().check();
        let postgres = ["--database-url", "postgres://db/rivet", "--archive-after", "30d"];
        assert_eq!(check(&["--archive-after", "10m"]), Ok(()));
        assert_eq!(check(&["--keep", "72h", "--archive-after", "72h"]), Ok(()));
        assert_eq!(check(&[&postgres[..], &["--archive-url", "file:///archive"]].concat()), Ok(()));
        assert!(check(&["--archive-after", "599s"]).unwrap_err().contains("--log-grace"));
        assert!(check(&["--keep", "72h", "--archive-after", "100h"]).unwrap_err().contains("--keep"));
        assert!(check(&postgres).unwrap_err().contains("--archive-url"));
    }

    #[test]
    fn a_job_is_kept_as_long_as_it_takes_logs() {
        let check = |flags: &[&str]| parse(flags).unwrap().check();
        assert_eq!(check(&["--keep", "48h", "--log-grace", "48h"]), Ok(()));
        assert!(check(&["--keep", "48h", "--log-grace", "72h"]).unwrap_err().contains("--log-grace"));
    }

    #[test]
    fn an_address_without_a_port_is_refused_with_an_example() {
        assert!(parse(&["--listen", "localhost"]).unwrap_err().contains("127.0.0.1:8080"));
    }

    #[test]
    fn a_database_that_is_no_file_is_refused() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://a.db?cache=shared&mode=memory",
        ] {
            let refused = parse(&["--database-url", url]).unwrap_err();
            assert!(refused.contains("it names no file: expected sqlite://relative.db"), "{refused}");
        }
        assert!(parse(&["--database-url", "sqlite:a.db?mode=rwc"]).is_ok());
    }

    #[test]
    fn no_text_form_of_a_database_url_shows_its_secrets() {
        let shown = |url: &str| url.parse::<DatabaseUrl>().unwrap().to_string();
        assert_eq!(shown("postgres://rivet:s3cret@db:5432/rivet"), "postgres://rivet:***@db:5432/rivet");
        assert_eq!(shown("postgres://rivet:s3@cret@db/rivet"), "postgres://rivet:***@db/rivet");
        assert_eq!(shown("postgres://rivet:s3/cr@et?@db/rivet"), "postgres://***");
        assert_eq!(shown("postgres://db/rivet?password=s3@cret"), "postgres://***");
        assert_eq!(shown("postgres://rivet@db/rivet?password=s3cret"), "postgres://rivet@db/rivet");
        assert_eq!(shown("postgres://db/rivet?password=s3cret"), "postgres://db/rivet");
        assert_eq!(shown("sqlite:///var/lib/rivet.db?mode=rwc"), "/var/lib/rivet.db");
        assert_eq!(shown("sqlite://rivet.db"), "rivet.db");
        assert_eq!(shown("sqlite:///my%20data/rivet.db"), "/my data/rivet.db");
        let config = Config::for_tests("postgres://rivet:s3cret@db/rivet");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
