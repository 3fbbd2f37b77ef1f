//! The description of the API: OpenAPI 3.1, generated from the `#[utoipa::path]` of each handler. A handler lists only
//! the errors of its own, as codes in backticks in the description of a status; `shared` adds what operations share.

mod headers;
mod problems;
mod shared;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use rivet_events::job::JobResult;
use utoipa::OpenApi;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use shared::{SecondClaim, Shared};

use super::error::Problem;
use super::{events, health, jobs, metrics, pipelines, projections, runners, stats, stubs, webhooks};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rivet Orchestrator",
        description = "Stores CI/CD pipelines, launches jobs of them, hands the jobs to runners that poll, and keeps \
            their status, result and logs. Every change is an event of one log, and every read reflects what the same \
            server has acknowledged before.\n\n\
            Unknown members are ignored. Times are RFC 3339 in UTC. Every error is \
            `application/problem+json`: branch on its `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Pipelines", description = "Definitions of what can be run"),
        (name = "Jobs", description = "Launches of pipelines"),
        (name = "Runners", description = "The list of runners, and the protocol that they speak"),
        (name = "Events", description = "The event log"),
        (name = "Webhooks", description = "Subscriptions to events"),
        (name = "Operations", description = "The state of the server"),
    ),
    paths(
        pipelines::check::check,
        pipelines::create::create,
        pipelines::list::list,
        pipelines::get::get,
        pipelines::revise::revise,
        pipelines::roll_back::roll_back,
        pipelines::versions::list,
        pipelines::versions::get,
        pipelines::diff::diff,
        pipelines::delete::delete,
        stubs::list,
        stubs::get,
        jobs::launch::launch,
        jobs::list::list,
        jobs::list::list_of_pipeline,
        jobs::get::get,
        jobs::logs::read,
        jobs::log_stream::stream,
        jobs::cancel::cancel,
        jobs::retry::retry,
        jobs::history::history,
        runners::register::register,
        runners::heartbeat::heartbeat,
        runners::list::list,
        runners::get::get,
        runners::delete::delete,
        jobs::scheduled::scheduled,
        jobs::claim::claim,
        jobs::claim_next::claim_next,
        jobs::status::set_status,
        jobs::append_logs::append,
        jobs::complete::complete,
        events::list::list,
        events::stream::stream,
        webhooks::create::create,
        webhooks::list::list,
        webhooks::get::get,
        webhooks::deliveries::deliveries,
        webhooks::resume::resume,
        webhooks::delete::delete,
        projections::list::list,
        projections::rebuild::rebuild,
        projections::parked::list,
        projections::parked::retry,
        projections::parked::skip,
        stats::get::get,
        stats::history::history,
        openapi,
        health::health,
        health::live,
        health::ready,
        metrics::metrics,
    ),
    components(schemas(Problem<'static>, JobResult)),
    modifiers(&SecondClaim, &Shared),
)]
struct Document;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = Document::openapi().to_pretty_json().expect("invariant: a description is plain data");
    // The registered names of these formats, which utoipa spells `u-int64` and so on.
    text.replace(r#""format": "u-int"#, r#""format": "uint"#) + "\n"
});

/// The description as JSON text that ends in a line break.
pub(crate) fn document() -> &'static str {
    &TEXT
}

/// The schema of a string that is one of `words`.
pub(super) fn one_of(words: impl IntoIterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

/// Get this description.
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "getDescription", tag = "Operations",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, example = json!({"openapi": "3.1.0"})))
)]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}
