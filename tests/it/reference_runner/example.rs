//! The expected outcome of each of `examples/`: its status, its result, and every entry of its log.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// An example, and a launch of it.
pub(super) struct Example {
    pub(super) file: &'static str,
    pub(super) parameters: Value,
    pub(super) status: &'static str,
    pub(super) result: Value,
    /// Level and message, one line per entry.
    pub(super) log: &'static str,
}

/// The example that runs until it is cancelled.
pub(super) const SLOW: &str = "slow.lua";

/// Launches of all examples that end by themselves.
pub(super) fn examples() -> Vec<Example> {
    vec![
        Example {
            file: "hello.lua",
            parameters: json!({}),
            status: "Succeeded",
            result: success(&json!({"greet": {"machine": "Linux"}})),
            log: "Info stage greet
Info Hello from Rivet
Debug $ uname -s
Info Linux",
        },
        Example {
            file: "inputs_and_conditions.lua",
            parameters: json!({"who": "Ada", "times": 2, "loud": true, "tone": "formal"}),
            status: "Succeeded",
            result: success(&Value::Null),
            log: r#"Info stage greet
Info 1: Good day, Ada
Info 2: Good day, Ada
Info stage shout
Debug $ printf "%s\n" "$WHO" | tr a-z A-Z
Info ADA"#,
        },
        Example {
            file: "inputs_and_conditions.lua",
            parameters: json!({"who": "Ada", "times": 0}),
            status: "Succeeded",
            result: success(&Value::Null),
            log: "Info stage greet
Info stage shout: skipped by its condition",
        },
        Example {
            file: "build_and_test.lua",
            parameters: json!({}),
            status: "Succeeded",
            result: success(&json!({"package": {"archive": "greet.tar", "bytes": 10240}})),
            log: r#"Info stage checkout
Debug $ mkdir -p "$(dirname "$FILE")" && cat > "$FILE"
Debug $ mkdir -p "$(dirname "$FILE")" && cat > "$FILE"
Info stage build
Debug $ sh -n src/greet.sh && mkdir build && install -m 755 src/greet.sh build/greet
Info stage test
Debug $ sh tests/greet_test.sh
Info ok 1 - greets everybody, in order
Info ok 2 - greets nobody when nobody is named
Info stage package
Debug $ tar -cf greet.tar -C build greet
Debug $ wc -c greet.tar
Info 10240 greet.tar"#,
        },
        Example {
            file: "fails.lua",
            parameters: json!({}),
            status: "Failed",
            result: json!({
                "success": false, "exit_code": 3, "output": null,
                "error_message": "stage test: `echo '1 of 3 tests failed' >&2; exit 3` exited with 3",
            }),
            log: "Info stage probe
Debug $ exit 7
Info the probe answered 7, which is fine
Info stage test
Debug $ echo '1 of 3 tests failed' >&2; exit 3
Warning 1 of 3 tests failed
Error stage test: `echo '1 of 3 tests failed' >&2; exit 3` exited with 3",
        },
    ]
}

fn success(output: &Value) -> Value {
    json!({"success": true, "exit_code": 0, "output": output, "error_message": null})
}

/// The script of an example.
pub(super) fn script_of(file: &str) -> String {
    fs::read_to_string(directory().join(file)).expect("it is an example")
}

/// The names of all examples there are.
pub(super) fn all_files() -> Vec<String> {
    let paths = fs::read_dir(directory()).expect("there are examples").flatten().map(|entry| entry.path());
    let scripts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "lua"));
    let mut names: Vec<String> =
        scripts.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}
