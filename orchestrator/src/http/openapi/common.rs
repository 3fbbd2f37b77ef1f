//! Completes the description of operations with what they share: headers, and the errors that follow from how
//! requests are read and data is stored. The description beside a handler names only what is special to it.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::Modify;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};

const PROBLEM: &str = "application/problem+json";

/// GETs that do not wait for the read models.
const AT_ONCE: [&str; 11] = [
    "/api/health",
    "/api/events",
    "/api/events/stream",
    "/api/projections",
    "/api/openapi.json",
    "/api/jobs/{id}/events",
    "/api/pipeline/{id}/versions",
    "/api/pipeline/{id}/versions/{version}",
    "/api/pipeline/{id}/diff",
    "/api/stubs",
    "/api/stubs/{name}",
];
/// Operations that use neither the log nor the read models, and so cannot be `unavailable`.
const WITHOUT_STORE: [&str; 6] =
    ["/api/health", "/livez", "/metrics", "/api/openapi.json", "/api/stubs", "/api/stubs/{name}"];

/// What the headers of requests and answers mean.
const HEADERS: [(&str, &str); 15] = [
    ("ETag", "The version of the pipeline as an entity tag, for `If-Match`."),
    (
        "Idempotency-Key",
        "The same key and body is the same job. 1 to 255 bytes; each pipeline, and each job that is retried, has keys of \
         its own.",
    ),
    ("Idempotency-Replayed", "`true`: the job was launched before with this key."),
    (
        "If-Match",
        "The version to replace, as `\"3\"`, or several with commas between them; whichever is current where absent or `*`.",
    ),
    (
        "Last-Event-ID",
        "The id of the last event that the client has. It overrides `after`; browsers send it by themselves.",
    ),
    ("Link", "The address of the next page, as `<…>; rel=\"next\"`; absent on the last one."),
    ("Retry-After", "Seconds to wait before the next try."),
    (
        "Rivet-Cancel",
        "Ids of jobs that this runner holds and must stop, with commas between them; absent where there are none.",
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
];

/// Describes the claim of dialect B: the same operation under another path.
pub(super) struct SecondClaim;

impl Modify for SecondClaim {
    fn modify(&self, document: &mut OpenApi) {
        let claim = document.paths.paths.get("/api/jobs/{id}/claim").and_then(|item| item.post.clone());
        let mut claim = claim.expect("invariant: the claim is described");
        claim.operation_id = Some("executeJob".to_owned());
        claim.summary = Some("Claim a job for a runner, as clients of dialect B do.".to_owned());
        let item = PathItem::new(HttpMethod::Post, claim);
        document.paths.paths.insert("/api/jobs/execute/{id}".to_owned(), item);
    }
}

/// Adds what operations share.
pub(super) struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let waits = path.starts_with("/api/") && !AT_ONCE.contains(&&**path);
            item.get.as_mut().filter(|_| waits).map(wait_for_read_models);
            for command in [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
                add_codes(command, StatusCode::FORBIDDEN, &["cross_site"]);
            }
            for operation in operations(item) {
                add_common_codes(path, operation);
            }
            item.get.as_mut().filter(|_| waits).map(describe_staleness);
            item.get.as_mut().map(describe_moment);
            for operation in operations(item) {
                complete(path, operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// A GET of read models can require a position. Where that is not reached, a 404 is a 503 with the code `behind`, since
/// what is not found may exist all the same.
fn wait_for_read_models(operation: &mut Operation) {
    let position = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(isize::MAX));
    operation
        .parameters
        .get_or_insert_default()
        .push(header_parameter("Rivet-Min-Position", position).into());
    if operation.responses.responses.contains_key("404") {
        add_codes(operation, StatusCode::SERVICE_UNAVAILABLE, &["behind"]);
    }
}

/// Its answer says if the position was not reached.
fn describe_staleness(operation: &mut Operation) {
    let stale = HeaderBuilder::new().schema(Some(text(json!("true")))).build();
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && (status.starts_with('2') || status == "503")
        {
            response.headers.insert("Rivet-Stale".to_owned(), stale.clone().into());
        }
    }
}

fn add_common_codes(path: &str, operation: &mut Operation) {
    for (status, codes) in common_codes(path, operation) {
        add_codes(operation, status, &codes);
    }
}

/// A GET with the parameter `at`: its answer has the position of the moment, and a moment in the future is refused.
fn describe_moment(operation: &mut Operation) {
    if !parameters(operation).any(|parameter| parameter.name == "at") {
        return;
    }
    add_codes(operation, StatusCode::UNPROCESSABLE_ENTITY, &["in_the_future"]);
    let position = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let mut position = HeaderBuilder::new().schema(Some(position)).build();
    position.description =
        Some("The position of the moment that was asked for; absent where none was.".to_owned());
    for response in successes(operation) {
        response.headers.insert("Rivet-Position".to_owned(), position.clone().into());
    }
}

fn complete(path: &str, operation: &mut Operation) {
    let request_id = ObjectBuilder::new().schema_type(Type::String);
    operation.parameters.get_or_insert_default().push(header_parameter("x-request-id", request_id).into());
    for parameter in parameters(operation) {
        parameter.description = parameter.description.take().or_else(|| meaning(&parameter.name));
        if parameter.parameter_in == ParameterIn::Header {
            // All of our headers are optional.
            parameter.required = Required::False;
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        response.headers.insert("x-request-id".to_owned(), Header::default().into());
        if let Some(status) = status.parse().ok().filter(|status: &u16| *status >= 400) {
            describe_problem(path, status, response);
        }
        for (name, header) in &mut response.headers {
            if let RefOr::T(header) = header {
                header.description = header.description.take().or_else(|| meaning(name));
            }
        }
    }
}

fn meaning(header: &str) -> Option<String> {
    if header == "x-request-id" {
        return Some(
            "The id of the request, kept with its events and in the server's log; the server makes one where it is absent, or not 1 to 128 visible ASCII characters.".to_owned(),
        );
    }
    HEADERS.iter().find(|(name, _)| *name == header).map(|(_, meaning)| (*meaning).to_owned())
}

fn header_parameter(name: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

fn text(value: Value) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([value])).into()
}

fn parameters(operation: &mut Operation) -> impl Iterator<Item = &mut Parameter> {
    operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

fn successes(operation: &mut Operation) -> impl Iterator<Item = &mut Response> {
    operation.responses.responses.iter_mut().filter_map(|(status, response)| match response {
        RefOr::T(response) if status.starts_with('2') => Some(response),
        RefOr::T(_) | RefOr::Ref(_) => None,
    })
}

/// The errors that follow from an operation's parameters, its body and its use of the store.
fn common_codes(path: &str, operation: &mut Operation) -> Vec<(StatusCode, Vec<&'static str>)> {
    let (mut malformed, mut found) = (vec![], vec![]);
    for parameter in parameters(operation) {
        malformed.push(match parameter.parameter_in {
            ParameterIn::Path => "invalid_path",
            ParameterIn::Query | ParameterIn::QueryString => "invalid_query",
            ParameterIn::Header | ParameterIn::Cookie => "invalid_header",
        });
    }
    if operation.request_body.is_some() {
        malformed.extend(["malformed_json", "incomplete_body"]);
        found.push((StatusCode::PAYLOAD_TOO_LARGE, vec!["payload_too_large"]));
        found.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, vec!["unsupported_media_type"]));
        found.push((StatusCode::UNPROCESSABLE_ENTITY, vec!["invalid_body"]));
    }
    if !malformed.is_empty() {
        found.push((StatusCode::BAD_REQUEST, malformed));
    }
    if !WITHOUT_STORE.contains(&path) {
        let is_command = successes(operation).any(|response| response.headers.contains_key("Rivet-Position"));
        let codes =
            if is_command { vec!["overloaded", "contended", "unavailable"] } else { vec!["unavailable"] };
        found.push((StatusCode::SERVICE_UNAVAILABLE, codes));
    }
    found.push((StatusCode::INTERNAL_SERVER_ERROR, vec!["internal"]));
    found
}

/// Adds codes to those that the description of a status names.
fn add_codes(operation: &mut Operation, status: StatusCode, codes: &[&str]) {
    let response = operation.responses.responses.entry(status.as_str().to_owned());
    let RefOr::T(response) = response.or_insert_with(|| ResponseBuilder::new().into()) else { return };
    let mut all = codes_of(&response.description);
    all.extend(codes.iter().map(|code| (*code).to_owned()));
    response.description = all.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
}

/// The codes in a description: what is in backticks.
fn codes_of(description: &str) -> BTreeSet<String> {
    description.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn describe_problem(path: &str, status: u16, response: &mut Response) {
    let codes: Vec<String> = codes_of(&response.description).into_iter().collect();
    let Some(first) = codes.first() else { return };
    if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let seconds = HeaderBuilder::new().schema(Some(seconds)).build();
        response.headers.insert("Retry-After".to_owned(), seconds.into());
    }
    // What the handler describes is what its problem has beside the common members.
    let own = response.content.swap_remove(PROBLEM).and_then(|content| match content {
        RefOr::T(content) => content.schema,
        RefOr::Ref(_) => None,
    });
    response.content.insert(PROBLEM.to_owned(), problem(path, status, first, &codes, own).into());
}

/// The body of an error with one of these codes, and with the members of `own`.
fn problem(path: &str, status: u16, example: &str, codes: &[String], own: Option<RefOr<Schema>>) -> Content {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let detail = example.replace('_', " ");
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
            "title": title,
            "status": status,
            "detail": detail,
            "instance": path.replace("{id}", "01a21390-df33-760a-b038-1135a443c6dd"),
            "code": example,
            "request_id": "752fbe84-0f88-4908-82b6-4a738be65607",
            "error": detail,
        })))
        .build()
}
