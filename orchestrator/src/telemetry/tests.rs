//! Chains of errors, and filters that are accepted or refused.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("cannot open the door")]
struct Outer(#[source] Middle);

#[derive(Debug, thiserror::Error)]
#[error("the key broke: {0}")]
struct Middle(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("too cold")]
struct Inner;

#[test]
fn a_chain_shows_every_cause_once() {
    let error = Outer(Middle(Inner));
    assert_eq!(chain(&error).to_string(), "cannot open the door: the key broke: too cold");
}

/// What is logged, one string for all lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_readable_line_names_its_request_once() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .event_format(Human);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
        tracing::error_span!("http.request", request.id = "7").in_scope(|| {
            tracing::info!(target: "http.request", "answered");
            tracing::info!(target: "elsewhere", "done");
        });
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let without_time = |line: &str| line.split_once(' ').map(|(_, rest)| rest.trim().to_owned());
    let lines: Vec<String> = log.lines().filter_map(without_time).collect();
    assert_eq!(
        lines,
        [
            r#"INFO http.request: answered request.id="7""#,
            r#"INFO http.request: elsewhere: done request.id="7""#
        ]
    );
}

#[test]
fn a_misspelt_level_is_refused() {
    for text in
        ["info", "WARN", "0", "off", "", "warn,http.request=debug", "[http.request{a}]=trace,rivet::x"]
    {
        assert_eq!(filter(text), Ok(text.to_owned()));
    }
    for text in ["warning", "debgu", "info,rivet", "6", " info", "rivet_orchestrator"] {
        let refused = filter(text).unwrap_err();
        assert!(refused.contains("is no level: off, error, warn, info, debug, trace"), "{refused}");
    }
    assert!(filter("info,http.request=loud").is_err());
}
