//! The errors of operations: which codes the description of a status names, and the body that tells one.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

const PROBLEM: &str = "application/problem+json";

/// Adds codes to those that the description of a status names.
pub(super) fn add_codes(operation: &mut Operation, status: StatusCode, codes: &[&str]) {
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

/// Describes the body of an error by the codes that its description names.
pub(super) fn describe_problem(path: &str, status: u16, response: &mut Response) {
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
