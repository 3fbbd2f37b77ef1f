//! Completes the description of operations with what they share: headers, and the errors that follow from how
//! requests are read and data is stored. The description beside a handler names only what is special to it.

use axum::http::StatusCode;
use utoipa::Modify;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Components, OpenApi, RefOr, Required};

use super::headers::{header_parameter, meaning, stale_header};
use super::problems::{add_codes, describe_problem, share};

/// GETs that do not wait for the read models: those under `/api` of `at_once` in `http`.
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
pub(super) struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (path, item) in &mut document.paths.paths {
            let waits = path.starts_with("/api/") && !AT_ONCE.contains(&&**path);
            item.get.as_mut().filter(|_| waits).map(wait_for_read_models);
            for command in [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
                add_codes(command, StatusCode::FORBIDDEN, &["cross_site"]);
            }
            for operation in operations(item) {
                for (status, codes) in common_codes(path, operation) {
                    add_codes(operation, status, &codes);
                }
            }
            item.get.as_mut().filter(|_| waits).map(describe_staleness);
            item.get.as_mut().map(describe_moment);
            for operation in operations(item) {
                complete(operation, components);
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
    for response in successes(operation) {
        response.headers.insert("Rivet-Stale".to_owned(), stale_header().into());
    }
}

/// A GET with the parameter `at`: its answer has the position of the moment; a moment in the future is refused, and one
/// that the read models have not reached is a 503.
fn describe_moment(operation: &mut Operation) {
    if !parameters(operation).any(|parameter| parameter.name == "at") {
        return;
    }
    add_codes(operation, StatusCode::UNPROCESSABLE_ENTITY, &["in_the_future"]);
    add_codes(operation, StatusCode::SERVICE_UNAVAILABLE, &["behind"]);
    let position = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let mut position = HeaderBuilder::new().schema(Some(position)).build();
    position.description =
        Some("The position of the moment that was asked for; absent where none was.".to_owned());
    for response in successes(operation) {
        response.headers.insert("Rivet-Position".to_owned(), position.clone().into());
    }
}

fn complete(operation: &mut Operation, components: &mut Components) {
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
        let status = status.parse().expect("invariant: an answer is described by its status");
        complete_response(status, response, components);
    }
}

fn complete_response(status: StatusCode, response: &mut RefOr<Response>, components: &mut Components) {
    let RefOr::T(own) = response else { return };
    let is_problem = status.is_client_error() || status.is_server_error();
    own.headers.insert("x-request-id".to_owned(), Header::default().into());
    if is_problem {
        describe_problem(status, own);
    }
    for (name, header) in &mut own.headers {
        if let RefOr::T(header) = header {
            header.description = header.description.take().or_else(|| meaning(name));
        }
    }
    if is_problem {
        share(response, components);
    }
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
