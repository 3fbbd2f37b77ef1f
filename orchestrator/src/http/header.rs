//! The names of the API's own headers.

use axum::http::HeaderName;

pub(super) use crate::telemetry::RequestId;

/// Answers: the position of the command's last event, or of the moment that is shown.
pub(super) const POSITION: HeaderName = HeaderName::from_static("rivet-position");
/// Requests: a position that the answer must reflect, such as another replica gave.
pub(super) const MIN_POSITION: HeaderName = HeaderName::from_static("rivet-min-position");
/// Answers: the read model did not reach the position in time.
pub(super) const STALE: HeaderName = HeaderName::from_static("rivet-stale");
/// Requests: the lease of the sender.
pub(super) const LEASE: HeaderName = HeaderName::from_static("rivet-lease");
/// Requests: idempotency key of a claim.
pub(super) const REQUEST_KEY: HeaderName = HeaderName::from_static("rivet-request-key");
/// Requests: how many log entries of the attempt come before this batch.
pub(super) const LOG_OFFSET: HeaderName = HeaderName::from_static("rivet-log-offset");
/// Answers: how many log entries of the attempt are stored.
pub(super) const LOG_ACK: HeaderName = HeaderName::from_static("rivet-log-ack");
/// Answers: ids of jobs that the runner holds and must stop.
pub(super) const CANCEL: HeaderName = HeaderName::from_static("rivet-cancel");
/// Requests: idempotency key of a launch.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Requests: the id of the last server-sent event that the client has.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Answers: the command was carried out before, under the same idempotency key.
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whether the value of a `traceparent` header is one by the W3C's Trace Context: `00-TRACE-PARENT-FLAGS`, in hex.
pub(super) fn is_traceparent(value: &str) -> bool {
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
