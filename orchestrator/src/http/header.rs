//! The names of our headers.

use axum::http::HeaderName;

pub(super) use crate::telemetry::RequestId;

/// Answers: the position of the last event of the command.
pub(super) const POSITION: HeaderName = HeaderName::from_static("rivet-position");
/// Requests: a position that the answer must reflect, such as another replica gave.
pub(super) const MIN_POSITION: HeaderName = HeaderName::from_static("rivet-min-position");
/// Answers: the read model did not reach the position in time.
pub(super) const STALE: HeaderName = HeaderName::from_static("rivet-stale");
/// Requests: the lease of the sender.
pub(super) const LEASE: HeaderName = HeaderName::from_static("rivet-lease");
/// Requests: by which a repeated claim gets its first answer again.
pub(super) const REQUEST_KEY: HeaderName = HeaderName::from_static("rivet-request-key");
/// Requests: entries of the attempt before this batch.
pub(super) const LOG_OFFSET: HeaderName = HeaderName::from_static("rivet-log-offset");
/// Answers: entries stored of the attempt.
pub(super) const LOG_ACK: HeaderName = HeaderName::from_static("rivet-log-ack");
/// Answers: ids of jobs that the runner holds and must stop.
pub(super) const CANCEL: HeaderName = HeaderName::from_static("rivet-cancel");
/// Requests: by which a repeated launch gets its first answer again.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Requests: the id of the last event of a stream that the client has.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Answers: the command was carried out before.
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
