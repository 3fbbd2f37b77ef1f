//! The errors of operations: which codes the description of a status names, and the body that tells one. Operations with
//! the same errors refer to one description of them.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Components, Ref, RefOr};

use super::headers::stale_header;

const PROBLEM: &str = "application/problem+json";

/// Code, instance and detail of the examples: errors are shown by the first of these that is among them.
const EXAMPLES: [(&str, &str, &str); 37] = [
    (
        "malformed_json",
        "/api/pipeline/launch",
        "the body is not JSON: key must be a string at line 1 column 2",
    ),
    ("invalid_query", "/api/jobs", "limit: must be from 1 to 1000"),
    (
        "invalid_path",
        "/api/jobs/42",
        "Cannot parse `id` with value `42`: UUID parsing failed: invalid length: found 2",
    ),
    ("invalid_header", "/api/stats", "the header rivet-min-position has no value that can be read"),
    (
        "cross_site",
        "/api/pipeline/launch",
        "a command that another web site makes a browser send is not carried out",
    ),
    ("job_not_found", "/api/jobs/{id}/cancel", "there is no such job"),
    ("version_not_found", "/api/pipeline/{id}/rollback", "the pipeline has no version 9"),
    ("pipeline_not_found", "/api/pipeline/launch", "there is no such pipeline"),
    ("runner_not_found", "/api/runners/build-1", "there is no runner build-1"),
    ("webhook_not_found", "/api/webhooks/{id}", "there is no such webhook"),
    (
        "stream_not_parked",
        "/api/projections/jobs/parked/runner/build-1/retry",
        "runner/build-1 is not parked in the projection jobs",
    ),
    ("projection_not_found", "/api/projections/job/rebuild", "there is no projection \"job\""),
    ("stub_not_found", "/api/stubs/http.lua", "there is no stub \"http.lua\""),
    ("already_claimed", "/api/jobs/{id}/claim", "the job is already claimed"),
    (
        "already_completed",
        "/api/jobs/{id}/complete",
        "the job has already ended as Succeeded, with another result",
    ),
    ("already_ended", "/api/jobs/{id}/cancel", "the job has already ended as Succeeded"),
    (
        "event_skipped",
        "/api/projections/jobs/parked/runner/build-1/retry",
        "the event at position 42 is skipped already",
    ),
    ("key_reused", "/api/pipeline/launch", "the idempotency key was used for a launch with another body"),
    ("lease_lost", "/api/jobs/{id}/logs", "the lease is lost: the job is not this sender's any more"),
    (
        "newer_build",
        "/api/projections/jobs/rebuild",
        "a newer build has made the read model \"jobs\": first, a server of this build has to take it over",
    ),
    ("not_ended", "/api/jobs/{id}/retry", "the job has not ended: there is nothing to repeat"),
    (
        "version_changed",
        "/api/pipeline/{id}",
        "the pipeline is at version 3, which the request does not expect",
    ),
    ("payload_too_large", "/api/jobs/{id}/logs", "the body is larger than 16777216 bytes"),
    ("unsupported_media_type", "/api/pipeline/launch", "the content type must be application/json"),
    ("log_gap", "/api/jobs/{id}/logs", "the batch begins beyond the 3 entries stored of this attempt"),
    ("invalid_parameters", "/api/pipeline/launch", "input `target` is required"),
    ("invalid_definition", "/api/pipeline/create", "`stages[2].script` is missing"),
    ("invalid_status", "/api/jobs/{id}/status", "a runner cannot report Queued here"),
    ("invalid_webhook", "/api/webhooks", "url: must begin with https:// or http://"),
    ("invalid_body", "/api/pipeline/launch", "missing field `pipeline_id` at line 1 column 2"),
    ("in_the_future", "/api/jobs", "at: has not come yet"),
    ("internal", "/api/jobs", "the server failed; its log has the cause"),
    (
        "behind",
        "/api/jobs/{id}",
        "the read models are behind: what is not found may be in what they have not seen yet",
    ),
    ("starting", "/readyz", "the read models are behind the log"),
    ("contended", "/api/pipeline/launch", "the pipeline changes too fast"),
    (
        "overloaded",
        "/api/pipeline/check",
        "the server is too busy to read a pipeline definition at this moment",
    ),
    ("unavailable", "/api/stats", "the read models are unavailable"),
];

/// Adds codes to those that the description of a status names.
pub(super) fn add_codes(operation: &mut Operation, status: StatusCode, codes: &[&str]) {
    let response = operation.responses.responses.entry(status.as_str().to_owned());
    let RefOr::T(response) = response.or_insert_with(|| ResponseBuilder::new().into()) else { return };
    let mut all = codes_of(&response.description);
    all.extend(codes.iter().map(|code| (*code).to_owned()));
    response.description = in_backticks(&all);
}

/// The codes in a description: what is in backticks.
fn codes_of(description: &str) -> BTreeSet<String> {
    description.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn in_backticks(codes: &BTreeSet<String>) -> String {
    codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ")
}

/// Describes the body of an error by the codes that its description names, and its headers.
pub(super) fn describe_problem(status: StatusCode, response: &mut Response) {
    let codes = codes_of(&response.description);
    response.description = in_backticks(&codes);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let seconds = HeaderBuilder::new().schema(Some(seconds)).build();
        response.headers.insert("Retry-After".to_owned(), seconds.into());
    }
    if codes.contains("behind") {
        response.headers.insert("Rivet-Stale".to_owned(), stale_header().into());
    }
    // What the handler describes is what its problem has beside the common members.
    let own = response.content.swap_remove(PROBLEM).and_then(|content| match content {
        RefOr::T(content) => content.schema,
        RefOr::Ref(_) => None,
    });
    response.content.insert(PROBLEM.to_owned(), problem(status, &codes, own).into());
}

/// Puts an error among those that operations refer to, under the name of its codes, such as `BehindOrUnavailable`.
pub(super) fn share(response: &mut RefOr<Response>, components: &mut Components) {
    let RefOr::T(own) = &*response else { return };
    let name =
        codes_of(&own.description).iter().map(|code| in_pascal_case(code)).collect::<Vec<_>>().join("Or");
    let shared = components.responses.entry(name.clone()).or_insert_with(|| response.clone());
    debug_assert!(shared == response, "operations with the same codes describe them in different ways");
    *response = Ref::from_response_name(name).into();
}

fn in_pascal_case(code: &str) -> String {
    let words = code.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
    words.collect()
}

/// The body of an error with one of these codes, and with the members of `own`.
fn problem(status: StatusCode, codes: &BTreeSet<String>, own: Option<RefOr<Schema>>) -> Content {
    let example = EXAMPLES.iter().find(|(code, ..)| codes.contains(*code));
    let (example, instance, detail) = example.expect("invariant: a code of every error has an example");
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes.iter().cloned()));
    let mut schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(ObjectBuilder::new().property("code", code));
    if let Some(own) = own {
        schema = schema.item(own);
    }
    ContentBuilder::new()
        .schema(Some(schema))
        .example(Some(json!({
            "type": format!("urn:rivet:problem:{example}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
            "instance": instance.replace("{id}", "01a21390-df33-760a-b038-1135a443c6dd"),
            "code": example,
            "request_id": "752fbe84-0f88-4908-82b6-4a738be65607",
            "error": detail,
        })))
        .build()
}
