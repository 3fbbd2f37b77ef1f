//! Settings that are accepted, and refused.

use super::*;
use crate::runner::RunnerOptions;
use crate::telemetry::LogOptions;

const README: &str = include_str!("../../../README.md");

fn parse(flags: &[&str]) -> Result<Config, String> {
    let command = Config::augment_args(Command::new("serve").no_binary_name(true))
        .mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from(flags).map_err(|error| error.to_string())?;
    Config::from_arg_matches(&matches).map_err(|error| error.to_string())
}

#[test]
fn the_readme_has_a_row_for_each_setting() {
    let command = |name| Command::new(name).disable_help_flag(true);
    let serve = LogOptions::augment_args(Config::augment_args(command("serve")));
    for mut command in [serve, RunnerOptions::augment_args(command("runner"))] {
        command.build();
        for arg in command.get_arguments() {
            let flag = arg.get_long().unwrap();
            let env = arg.get_env().map_or_else(String::new, |name| format!("`{}` ", name.display()));
            // The README words the default of a setting that is computed, or of one that has none.
            let default = arg.get_default_values().first();
            let default = default.map_or_else(String::new, |value| format!("`{}` |", value.display()));
            let row = format!("\n| `--{flag}` | {env}| {default}");
            assert!(README.contains(&row), "README.md has no row {row:?}");
        }
    }
}

#[test]
fn the_startup_grace_is_the_lease_unless_set() {
    let grace = |flags: &[&str]| parse(flags).unwrap().leases.startup_grace();
    assert_eq!(grace(&[]), Duration::from_mins(2));
    assert_eq!(grace(&["--lease", "7s"]), Duration::from_secs(7));
    assert_eq!(grace(&["--lease", "7s", "--startup-grace", "0s"]), Duration::ZERO);
}

#[test]
fn durations_are_written_with_their_unit() {
    let config = parse(&["--read-wait", "500ms", "--queue-timeout", "1h 30m"]).unwrap();
    assert_eq!(config.load.read_wait, Duration::from_millis(500));
    assert_eq!(config.leases.queue_timeout, Duration::from_mins(90));
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
fn a_server_needs_a_database_that_it_may_write_to() {
    let read_only = ["--database-url", "sqlite://rivet.db?mode=ro"];
    assert!(parse(&read_only).unwrap().check().unwrap_err().contains("mode=ro"));
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

#[test]
fn what_is_kept_beside_a_file_is_at_the_same_place_for_each_link_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("real.db"), directory.path().join("current.db"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    std::fs::write(&file, "").unwrap();
    let archive = |path: &std::path::Path| {
        let url = format!("sqlite://{}", path.display());
        parse(&["--database-url", &url]).unwrap().database.archive_url().unwrap()
    };
    assert_eq!(archive(&link), archive(&file));
}
