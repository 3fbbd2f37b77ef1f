//! The command line options of a runner.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use rivet_events::id::{RunnerId, RunnerIdError};
use rustix::system::uname;

use crate::config::positive_duration;
use crate::server_url::ServerUrl;

/// Options of `runner`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunnerOptions {
    /// Server to work for.
    #[arg(long, env = "RIVET_SERVER", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: ServerUrl,
    /// Name of this runner, in which %h stands for the name of the host; no other running process may have it.
    #[arg(long, env = "RIVET_RUNNER_ID", value_name = "NAME", value_parser = parse_id)]
    pub id: RunnerId,
    /// Capability of this runner in addition to the modules that it provides, such as `os=linux`; several are separated
    /// by commas, or the option is repeated.
    #[arg(long = "capability", env = "RIVET_CAPABILITIES", value_delimiter = ',', value_name = "CAPABILITY", value_parser = NonEmptyStringValueParser::new())]
    pub capabilities: Vec<String>,
    /// Jobs to run at once.
    #[arg(long, env = "RIVET_PARALLEL", value_name = "COUNT", default_value = "1", value_parser = parse_parallel)]
    pub parallel: usize,
    /// Directory for the workspaces of jobs [default: `rivet-runner` in the system's directory for temporary files].
    #[arg(long, env = "RIVET_WORK_DIR", value_name = "DIRECTORY")]
    pub work_dir: Option<PathBuf>,
    /// Time between two heartbeats, such as 30s; much shorter than the server's --lease.
    #[arg(long, env = "RIVET_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    pub heartbeat_interval: Duration,
    /// How long running jobs may go on after the first SIGTERM or SIGINT; then, or at a second one, they are killed.
    #[arg(long, env = "RIVET_DRAIN_GRACE", value_name = "DURATION", default_value = "1h", value_parser = positive_duration)]
    pub drain_grace: Duration,
    /// How long a cancelled job may take to end by itself, such as 5s; then it is killed.
    #[arg(long, env = "RIVET_TERMINATION_GRACE", value_name = "DURATION", default_value = "5s", value_parser = positive_duration)]
    pub termination_grace: Duration,
}

/// The name of a runner, with the name of the host for `%h`. An HTTP client resolves the segments `.` and `..` of a path,
/// so the heartbeats of a runner with such a name would not arrive.
fn parse_id(text: &str) -> Result<RunnerId, String> {
    let name = text.replace("%h", &uname().nodename().to_string_lossy());
    if matches!(&*name, "." | "..") {
        return Err("a runner cannot be named . or ..: it is part of a path".to_owned());
    }
    name.parse().map_err(|error: RunnerIdError| error.to_string())
}

fn parse_parallel(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=1_000).contains(count))
        .ok_or_else(|| "a number from 1 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_has_a_name_that_may_stand_in_a_path() {
        assert!(parse_id("läufer 1/a").is_ok());
        assert!(parse_id("...").is_ok());
        for name in ["", ".", ".."] {
            assert!(parse_id(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_runner_can_be_named_by_its_host() {
        let host = uname().nodename().to_str().unwrap().to_owned();
        assert_eq!(parse_id("%h/1").unwrap().as_str(), format!("{host}/1"));
    }
}
