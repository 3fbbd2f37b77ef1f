//! The quick start of the README works word for word.

use std::path::Path;
use std::process::{Command, Stdio};

use rivet_tests::program;
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;

const ADDRESS: &str = "http://127.0.0.1:8080";
const RUN: &str = "cargo run --release";

#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start_works_as_it_is_written() {
    let readme = include_str!("../../README.md");
    let app = TestApp::start(StoreKind::Sqlite).await;
    let request = app.client().request(reqwest::Method::GET, "/").build().expect("a path is enough");
    let script = script(readme, &program::path(), &request.url().origin().ascii_serialization());
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &script]).current_dir(directory.path()).stdin(Stdio::null());
    shell.env("RIVET_WORK_DIR", directory.path());
    let ran = tokio::task::spawn_blocking(move || shell.output()).await.expect("waiting does not panic");
    let output = ran.expect("there is a shell");

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for (part, times) in [
        ("\"pipeline_source\":", 1),
        ("204\n201\n204\n", 1),
        ("\"status\":\"Succeeded\",\"phase\":\"ended\"", 2),
        ("\"runner_id\":\"build-1\"", 1),
        ("\"message\":\"Hello, world\"", 1),
        ("\"message\":\"Hello, runner\"", 1),
    ] {
        assert_eq!(said.matches(part).count(), times, "{part} in {said}");
    }
    let history = said.lines().find(|line| line.starts_with("{\"events\":")).expect("the history is shown");
    for event in ["job.launched", "job.claimed", "job.started", "job.completed"] {
        assert!(history.contains(&format!("\"type\":\"{event}\"")), "{event} in {history}");
    }
}

/// The commands of the quick start as one script, for this server, and with the runner in the background.
fn script(readme: &str, program: &Path, server: &str) -> String {
    let section = readme.split("\n## ").find(|section| section.starts_with("Quick start\n"));
    let blocks = section.expect("the README has a quick start").split("```sh\n").skip(1);
    let commands = blocks.map(|block| {
        let block = block.split("```").next().unwrap_or_default();
        match block.trim_end().strip_prefix(RUN) {
            Some("") => String::new(),
            Some(runner) => {
                let arguments = runner.trim_start_matches(" -- ");
                format!("'{}' {arguments} &\ntrap \"kill $!\" EXIT\n", program.display())
            }
            None => block.to_owned(),
        }
    });
    commands.collect::<String>().replace(ADDRESS, server)
}
