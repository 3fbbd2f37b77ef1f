//! The workspace as text: its source files, and the paths that Rust code names.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(super) struct Source {
    /// The path from the root of the workspace, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace").to_owned()
}

/// Every Rust file under a folder of the workspace, ordered by path.
pub(super) fn rust_files(folder: &str) -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(&root).expect("it is below").to_string_lossy().replace('\\', "/");
                files.push(Source { path: name, text: fs::read_to_string(&path).expect("it is text") });
            }
        }
    }
    assert!(!files.is_empty(), "no Rust file under {folder}");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The code without its comments. A `//` within a string cuts its line there too, so nothing is found in the rest of
/// that line.
pub(super) fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every path that the code names, in `use` lines (their braces expanded) and elsewhere: `a::b::c`.
pub(super) fn paths(code: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    for statement in code.split_inclusive(';') {
        match statement.split_once("use ") {
            Some((before, tree))
                if before.split_whitespace().all(|word| word.starts_with("pub") || word.starts_with('#')) =>
            {
                expand(&tree.trim_end_matches(';').split_whitespace().collect::<String>(), "", &mut found);
            }
            Some(_) | None => rest.push_str(statement),
        }
    }
    let is_of_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let tokens = rest.split(|letter| !is_of_path(letter)).filter(|token| token.contains("::"));
    found.extend(tokens.map(str::to_owned));
    found
}

/// `a::{b, c::d}` → `a::b`, `a::c::d`.
fn expand(tree: &str, prefix: &str, found: &mut Vec<String>) {
    let mut depth = 0;
    for branch in tree.split(|letter: char| {
        depth += match letter {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        letter == ',' && depth == 0
    }) {
        match branch.split_once('{') {
            Some((head, inner)) => {
                expand(inner.strip_suffix('}').unwrap_or(inner), &format!("{prefix}{head}"), found);
            }
            None if branch.is_empty() => {}
            None => found.push(format!("{prefix}{branch}")),
        }
    }
}

#[test]
fn paths_are_found_in_use_trees_and_in_code() {
    let code = code(
        "use std::fmt;\npub use a::{b::{C, d}, e};\n// use not::this;\nfn f() { let x = g::h(i::j::<K>()); } // nor::that",
    );
    assert_eq!(paths(&code), ["std::fmt", "a::b::C", "a::b::d", "a::e", "g::h", "i::j::"]);
}
