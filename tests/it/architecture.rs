//! Tests of the architecture: which crate and which layer may depend on which, what the domain may name, where routes
//! may be, and that sibling modules have the same files.
//!
//! Each rule is a function from source text to its violations, and each has a test that it finds one.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use self::source::{Source, code, paths, root, rust_files};

/// The dependencies between our crates; there are no others.
const ARROWS: [(&str, &[&str]); 4] = [
    ("rivet-events", &[]),
    ("rivet-projections", &["rivet-events"]),
    ("rivet-orchestrator", &["rivet-events", "rivet-projections"]),
    ("rivet-tests", &["rivet-events", "rivet-orchestrator", "rivet-projections"]),
];

/// The crates that alone may depend on these: SQL is spoken below the orchestrator only, HTTP in it only.
const WRAPPERS: [(&str, &[&str]); 2] =
    [("sqlx", &["rivet-events", "rivet-projections", "rivet-tests"]), ("axum", &["rivet-orchestrator"])];

/// The layers of the orchestrator above the domain, and what each of them must not name: the layers above it.
const LAYERS: [(&str, &[&str]); 4] = [
    ("commands", &["processes", "http", "app", "cli"]),
    ("processes", &["http", "app", "cli"]),
    ("http", &["processes", "app", "cli"]),
    ("app", &["cli"]),
];

/// What the domain must not name: other layers, I/O, time and randomness.
const NOT_IN_THE_DOMAIN: [&str; 20] = [
    "tokio",
    "axum",
    "hyper",
    "reqwest",
    "sqlx",
    "moka",
    "tracing",
    "rand",
    "rivet_projections",
    "rivet_events::log",
    "rivet_events::database",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "chrono::Utc::now",
];

const AGGREGATE: [&str; 5] = ["mod.rs", "command.rs", "state.rs", "decide.rs", "tests.rs"];
const READ_MODEL: [&str; 4] = ["mod.rs", "fold.rs", "queries.rs", "tests.rs"];

/// The file that defines all routes.
const ROUTES: &str = "orchestrator/src/http/mod.rs";

#[test]
fn crates_depend_on_each_other_along_the_arrows_only() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs its own tests");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    assert_none(&forbidden_dependencies(&metadata));
}

fn forbidden_dependencies(metadata: &Value) -> Vec<String> {
    let mut violations = Vec::new();
    for package in metadata["packages"].as_array().expect("packages are a list") {
        let name = package["name"].as_str().expect("a package has a name");
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            violations.push(format!("{name} has no place in the house"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies are a list") {
            let dependency = dependency["name"].as_str().expect("a dependency has a name");
            let is_inside = dependency.starts_with("rivet-") && !allowed.contains(&dependency);
            let is_wrapped = |(wrapped, by): &(&str, &[&str])| dependency == *wrapped && !by.contains(&name);
            if is_inside || WRAPPERS.iter().any(is_wrapped) {
                violations.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    violations
}

#[test]
fn a_forbidden_dependency_is_found() {
    let package = |name: &str, dependency: &str| serde_json::json!({"name": name, "dependencies": [{"name": dependency}]});
    let metadata = serde_json::json!({"packages": [
        package("rivet-events", "rivet-projections"),
        package("rivet-orchestrator", "sqlx"),
        package("rivet-tests", "axum"),
        package("rivet-projections", "rivet-events"),
        package("rivet-plugins", "serde"),
    ]});
    assert_eq!(forbidden_dependencies(&metadata).len(), 4);
}

#[test]
fn no_system_library_is_needed_for_tls() {
    assert!(!include_str!("../../Cargo.lock").contains("name = \"openssl\"\n"));
}

#[test]
fn the_domain_does_no_input_or_output() {
    assert_none(&impurities(&rust_files("orchestrator/src/domain")));
}

fn impurities(files: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files {
        for path in paths(&code(&file.text)) {
            // A rule also matches every item of its module: `std::fs` matches `std::fs::read`.
            let names =
                |forbidden: &&&str| path == **forbidden || path.starts_with(&format!("{forbidden}::"));
            let clock_or_layer =
                path == "Utc::now" || path.starts_with("crate::") && !path.starts_with("crate::domain");
            if clock_or_layer || NOT_IN_THE_DOMAIN.iter().find(names).is_some() {
                violations.push(format!("{} names {path}", file.path));
            }
        }
    }
    violations
}

#[test]
fn an_impurity_is_found() {
    for impure in [
        "use tokio::sync::Mutex;",
        "use std::{fmt, fs};",
        "use rivet_events::{id::JobId, log::EventLog};",
        "fn f() { chrono::Utc::now(); }",
        "fn f() { let now = Utc::now(); }",
        "use crate::http::Jobs;",
        "fn f() -> std::time::SystemTime { g() }",
    ] {
        assert_eq!(impurities(&[Source::new("decide.rs", impure)]).len(), 1, "{impure}");
    }
    let pure = "use std::time::Duration;\nuse rivet_events::{id::JobId, job::JobEvent};\n// tokio::spawn\nuse crate::domain::job;";
    assert_none(&impurities(&[Source::new("decide.rs", pure)]));
}

#[test]
fn layers_depend_on_what_is_below_them() {
    let files = rust_files("orchestrator/src");
    assert_none(&upward_dependencies(&files));
    for (layer, _) in LAYERS {
        assert!(files.iter().any(|file| layer_of(&file.path) == layer), "there is no layer {layer}");
    }
}

/// The module directly below the root of the orchestrator that a file belongs to.
fn layer_of(path: &str) -> &str {
    let module = path.strip_prefix("orchestrator/src/").unwrap_or(path);
    module.split(['/', '.']).next().unwrap_or_default()
}

fn upward_dependencies(files: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files {
        let Some((_, above)) = LAYERS.iter().find(|(layer, _)| *layer == layer_of(&file.path)) else {
            continue;
        };
        for path in paths(&code(&file.text)) {
            let module = path.strip_prefix("crate::").and_then(|path| path.split("::").next());
            if module.is_some_and(|module| above.contains(&module)) {
                violations.push(format!("{} names {path}", file.path));
            }
        }
    }
    violations
}

#[test]
fn an_upward_dependency_is_found() {
    let upward = "use crate::{commands::Commands, http::Jobs};\nfn f() { crate::cli::run() }";
    let found = |path| upward_dependencies(&[Source::new(path, upward)]).len();
    assert_eq!(found("orchestrator/src/processes.rs"), 2);
    assert_eq!(found("orchestrator/src/app/parts.rs"), 1);
    assert_eq!(found("orchestrator/src/cli/serve.rs"), 0);
}

#[test]
fn all_routes_are_on_one_page() {
    assert_none(&stray_routes(&rust_files("orchestrator/src")));
}

fn stray_routes(files: &[Source]) -> Vec<String> {
    // Tests of middleware build a router of their own.
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    let strays = files
        .iter()
        .filter(|file| file.path != ROUTES && !is_test(&file.path) && code(&file.text).contains(".route("));
    strays.map(|file| format!("{} has a route of its own", file.path)).collect()
}

#[test]
fn a_stray_route_is_found() {
    let text = "Router::new().route(\"/api\", get(list))";
    assert_eq!(stray_routes(&[Source::new("orchestrator/src/http/jobs.rs", text)]).len(), 1);
    assert_none(&stray_routes(&[Source::new(ROUTES, text)]));
}

#[test]
fn aggregates_have_the_same_files() {
    let folders = folders(&rust_files("orchestrator/src/domain"), "orchestrator/src/domain/");
    assert!(folders.len() >= 3, "{folders:?}");
    assert_none(&missing_files(&folders, &AGGREGATE));
}

#[test]
fn read_models_have_the_same_files() {
    let mut folders = folders(&rust_files("projections/src"), "projections/src/");
    folders.retain(|_, files| files.contains("fold.rs") || files.contains("queries.rs"));
    assert!(folders.len() >= 3, "{folders:?}");
    assert_none(&missing_files(&folders, &READ_MODEL));
}

/// The folders directly below a folder, each with the files directly in it.
fn folders(files: &[Source], below: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let steps: Vec<&str> = file.path.strip_prefix(below).unwrap_or_default().split('/').collect();
        if let [folder, name] = steps[..] {
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
    }
    folders
}

fn missing_files(folders: &BTreeMap<String, BTreeSet<String>>, expected: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for (folder, files) in folders {
        let missing = expected.iter().filter(|name| !files.contains(**name));
        violations.extend(missing.map(|name| format!("{folder} has no {name}")));
    }
    violations
}

#[test]
fn a_missing_file_is_found() {
    let files = ["d/job/mod.rs", "d/job/fold.rs", "d/job/queries.rs", "d/job/fold/tests.rs", "d/mod.rs"];
    let files = files.map(|path| Source::new(path, ""));
    assert_eq!(missing_files(&folders(&files, "d/"), &READ_MODEL), ["job has no tests.rs"]);
}

#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
