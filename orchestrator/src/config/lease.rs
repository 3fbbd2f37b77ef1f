//! The settings of leases and deadlines.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::{duration, positive_duration};
use crate::domain::job::LeasePolicy;

/// How long runners may be silent, and how long jobs may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Leases and deadlines")]
pub struct LeaseOptions {
    /// How long a runner that echoes its lease may be silent before its job goes back into the queue
    #[arg(long, env = "RIVET_LEASE", value_name = "DURATION", default_value = "120s", value_parser = positive_duration)]
    pub lease: Duration,

    /// How long a runner that does not echo its lease may be silent before its attempt fails as `runner_lost`
    #[arg(long, env = "RIVET_LEGACY_LEASE", value_name = "DURATION", default_value = "15m", value_parser = positive_duration)]
    pub legacy_lease: Duration,

    /// How long a claimed job may show no sign of a start, where the runner echoes its lease
    #[arg(long, env = "RIVET_START_TIMEOUT", value_name = "DURATION", default_value = "2m", value_parser = positive_duration)]
    pub start_timeout: Duration,

    /// How long a claimed job may show no sign of a start, where the runner does not echo its lease
    #[arg(
        long,
        env = "RIVET_LEGACY_START_TIMEOUT",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = positive_duration
    )]
    pub legacy_start_timeout: Duration,

    /// How many attempts in a row a job may lose its runner before it fails
    #[arg(
        long,
        env = "RIVET_MAX_LOST_ATTEMPTS",
        value_name = "COUNT",
        default_value = "3",
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000)
    )]
    pub max_lost_attempts: u32,

    /// How long after a start nothing expires, so that every runner can speak first [default: the lease]
    #[arg(long, env = "RIVET_STARTUP_GRACE", value_name = "DURATION", value_parser = duration)]
    pub startup_grace: Option<Duration>,

    /// How long a runner without a job may be silent before it counts as offline
    #[arg(
        long,
        env = "RIVET_RUNNER_OFFLINE_AFTER",
        value_name = "DURATION",
        default_value = "90s",
        value_parser = positive_duration
    )]
    pub runner_offline_after: Duration,

    /// How often leases and deadlines are looked at
    #[arg(long, env = "RIVET_SWEEP_INTERVAL", value_name = "DURATION", default_value = "5s", value_parser = positive_duration)]
    pub sweep_interval: Duration,

    /// How long a job may wait in the queue before it ends as `TimedOut`
    #[arg(long, env = "RIVET_QUEUE_TIMEOUT", value_name = "DURATION", default_value = "24h", value_parser = positive_duration)]
    pub queue_timeout: Duration,

    /// How long a job may run, where its pipeline does not say
    #[arg(long, env = "RIVET_RUN_TIMEOUT", value_name = "DURATION", default_value = "1h", value_parser = positive_duration)]
    pub run_timeout: Duration,

    /// How long a job that is to stop may take before it can be ended without its runner
    #[arg(long, env = "RIVET_CANCEL_GRACE", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub cancel_grace: Duration,

    /// How far apart the recorded heartbeats of a runner are; those in between only renew its lease
    #[arg(long, env = "RIVET_HEARTBEAT_RESOLUTION", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub heartbeat_resolution: Duration,
}

impl LeaseOptions {
    /// The durations by which the lease of a job expires.
    #[must_use]
    pub fn policy(&self) -> LeasePolicy {
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
