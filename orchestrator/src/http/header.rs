//! The names of the API's own headers.

use axum::http::HeaderName;

/// Requests and answers: the id of the request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
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
/// Answers: ids of jobs that the runner must stop.
pub(super) const CANCEL: HeaderName = HeaderName::from_static("rivet-cancel");
/// Requests: idempotency key of a launch.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Requests: the id of the last server-sent event that the client has.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Answers: the command was carried out before, under the same idempotency key.
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
