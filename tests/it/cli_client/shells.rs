//! What shells and readers of manuals are given.

use rivet_tests::server::TestApp;
use tokio::process::Command;

use super::{app, printed};

/// The completions that bash offers for the last of these words.
async fn completed_by_bash(app: &TestApp, words: &[&str]) -> Vec<String> {
    let script = printed(app, &["completions", "bash"]).await;
    let (line, last) = (words.join(" "), words.len());
    let ask = format!(
        "{script}\nCOMP_WORDS=(rivet-orchestrator {line}); COMP_CWORD={last}
        _rivet__orchestrator rivet-orchestrator \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
        printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &ask]).output().await.expect("there is a bash");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_and_manuals_know_the_commands() {
    let app = app().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&app, &["completions", shell]).await;
        for word in ["pipeline", "follow", "runner"] {
            assert!(script.contains(word), "{word} in the completions of {shell}");
        }
        assert!(!script.contains("read-definition"), "hidden commands stay hidden");
    }
    assert_eq!(completed_by_bash(&app, &["job", "lo"]).await, ["logs"]);
    assert_eq!(completed_by_bash(&app, &["job", "logs", "--fol"]).await, ["--follow"]);
    assert!(printed(&app, &["man"]).await.contains(".TH rivet-orchestrator 1"));
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    printed(&app, &["man", "--dir", directory.path().to_str().unwrap()]).await;
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(page("rivet-orchestrator-runner-list.1").contains("List the runners of a server"));
    let page = page("rivet-orchestrator-job-logs.1");
    assert!(
        page.contains("Follow the log until the job has ended") && page.contains("RIVET_SERVER"),
        "{page}"
    );
}
