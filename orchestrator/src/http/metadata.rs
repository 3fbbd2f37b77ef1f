//! The metadata of commands that come with requests: who sends them, and with which request.

use axum::http::HeaderMap;
use rivet_events::Metadata;
use rivet_events::id::{LeaseId, RunnerId};

use super::request_line::{RequestId, note_runner};
use crate::domain::job::{JobState, Running};

/// Longest name of a client that is kept with its events, in characters.
const MAX_USER_AGENT: usize = 200;

/// The metadata of a command whose sender has not said that it is a runner.
pub(super) fn by_client(headers: &HeaderMap, RequestId(request_id): RequestId) -> Metadata {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Metadata {
        actor: Some("client".to_owned()),
        correlation_id: Some(request_id.clone()),
        causation_id: None,
        command_id: None,
        request_id: Some(request_id),
        user_agent: text("user-agent").map(|name| name.chars().take(MAX_USER_AGENT).collect()),
        traceparent: text("traceparent").filter(|value| is_traceparent(value)).map(str::to_owned),
    }
}

/// The same for a sender that says that it is this runner, which the request's log line then names.
pub(super) fn by_runner(metadata: Metadata, id: &RunnerId) -> Metadata {
    note_runner(id);
    with_runner(metadata, id)
}

/// The same for a report about a job: the actor is its holder, if the report is accepted as the holder's. A report
/// without a lease is, in an attempt that does not fence.
pub(super) fn by_holder(metadata: &Metadata, job: &JobState, lease: Option<LeaseId>) -> Metadata {
    let metadata = metadata.clone();
    match job {
        JobState::Running(Running { holder, .. })
            if lease.map_or(!holder.fencing, |lease| lease == holder.lease_id) =>
        {
            with_runner(metadata, &holder.runner_id)
        }
        JobState::Absent | JobState::Queued(_) | JobState::Running(_) | JobState::Ended(_) => metadata,
    }
}

fn with_runner(metadata: Metadata, id: &RunnerId) -> Metadata {
    Metadata { actor: Some(format!("runner:{id}")), ..metadata }
}

/// Whether the value of a `traceparent` header is one by the W3C's Trace Context: `00-TRACE-PARENT-FLAGS`, in hex.
fn is_traceparent(value: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length: usize| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<&str> = value.splitn(5, '-').collect();
    matches!(parts[..], ["00", trace, parent, flags] if is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_of_the_known_form_is_one() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(is_traceparent(&format!("00-{trace}-00f067aa0ba902b7-01")));
        for wrong in [
            String::new(),
            "z".repeat(60_000),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
        ] {
            assert!(!is_traceparent(&wrong), "{wrong}");
        }
    }
}
