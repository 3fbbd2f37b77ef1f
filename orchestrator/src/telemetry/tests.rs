//! Chains of errors, and filters that are accepted or refused.

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
