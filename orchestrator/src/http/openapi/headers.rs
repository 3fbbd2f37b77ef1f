//! The headers of requests and answers: what they mean, and how they are described.

use utoipa::openapi::Required;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// What the headers of requests and answers mean.
const HEADERS: [(&str, &str); 16] = [
    ("ETag", "The version of the pipeline as an entity tag, for `If-Match`."),
    (
        "Idempotency-Key",
        "The same key and body is the same job. 1 to 255 bytes; each pipeline, and each job that is retried, has keys of \
         its own.",
    ),
    ("Idempotency-Replayed", "`true`: the job was launched before with this key."),
    (
        "If-Match",
        "The version that must be current, as `\"3\"`, or several with commas between them; any, where absent or `*`.",
    ),
    (
        "Last-Event-ID",
        "The id of the last event that the client has. It overrides `after`; browsers send it by themselves.",
    ),
    ("Link", "The address of the next page, as `<…>; rel=\"next\"`; absent on the last one."),
    ("Retry-After", "Seconds to wait before the next try."),
    (
        "Rivet-Cancel",
        "Ids of jobs that this runner must stop, with commas between them; absent where there are none.",
    ),
    (
        "Rivet-Lease",
        "The `lease_id` that the claim was answered with; absent from clients that do not fence.",
    ),
    ("Rivet-Log-Ack", "How many log entries of this attempt are stored."),
    ("Rivet-Log-Offset", "How many log entries of this attempt come before this batch."),
    (
        "Rivet-Min-Position",
        "A position that the answer must reflect, such as another replica's `Rivet-Position`.",
    ),
    (
        "Rivet-Position",
        "The position of the command's last event; the head of the log where there was nothing to record.",
    ),
    (
        "Rivet-Request-Key",
        "A claim that the same runner repeats with the same key gets its first answer again.",
    ),
    ("Rivet-Stale", "`true`: the read models did not reach the required position in time."),
    (
        "x-request-id",
        "The id of the request, kept with its events and in the server's log; the server makes one where it is absent, or \
         not 1 to 128 visible ASCII characters.",
    ),
];

/// What a header means, if it is one of ours.
pub(super) fn meaning(header: &str) -> Option<String> {
    HEADERS.iter().find(|(name, _)| *name == header).map(|(_, meaning)| (*meaning).to_owned())
}

/// An optional header of a request.
pub(super) fn header_parameter(name: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

/// The header of an answer that may be old.
pub(super) fn stale_header() -> Header {
    let only_true = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["true"]));
    HeaderBuilder::new().schema(Some(only_true)).build()
}
