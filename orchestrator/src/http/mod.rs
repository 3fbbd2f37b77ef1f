//! The HTTP API: this file has every route, and the handlers are in files named by what they do.
//!
//! A request passes, from the outside in: `request_line`, `guard`, `fresh` (where a GET waits for the read models),
//! and its handler. What handlers share: `extract` and `filter` read requests, `metadata` says who sends a command,
//! `contact` notes that a runner lives, `answer` and `error` make answers, `state` has all that they work with. Bodies
//! of answers stand beside their handlers, in a `body` where several share them.
//!
//! CONTRIBUTING.md says how to add an endpoint.

mod answer;
mod contact;
mod cross_site;
mod docs;
mod error;
mod events;
mod extract;
mod filter;
mod fresh;
mod guard;
mod header;
mod health;
mod jobs;
mod metadata;
mod metrics;
mod moment;
mod openapi;
mod pipelines;
mod projections;
mod request_line;
mod runners;
mod sse;
mod state;
mod stats;
mod stubs;
mod ui;
mod unread;
mod wait;
mod webhooks;

use axum::Router;
use axum::extract::OriginalUri;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use tower_http::compression::CompressionLayer;

use error::ApiError;
use request_line::request_context;

pub(crate) use openapi::document;
pub(crate) use state::{AppState, Parts};

/// Every route of the API.
pub(crate) fn router(state: AppState) -> Router {
    let api = Router::new()
        .merge(of_runners())
        .route("/api/jobs", get(jobs::list::list))
        .route("/api/jobs/claim", post(jobs::claim_next::claim_next))
        .route("/api/jobs/scheduled", get(jobs::scheduled::scheduled))
        .route("/api/jobs/pipeline/{id}", get(jobs::list::list_of_pipeline))
        .route("/api/jobs/execute/{id}", post(jobs::claim::claim))
        .route("/api/jobs/{id}/claim", post(jobs::claim::claim))
        .route("/api/jobs/{id}/status", put(jobs::status::set_status))
        .route("/api/jobs/{id}/logs/stream", get(jobs::log_stream::stream))
        .route("/api/jobs/{id}/complete", post(jobs::complete::complete))
        .route("/api/jobs/{id}/cancel", post(jobs::cancel::cancel))
        .route("/api/jobs/{id}/retry", post(jobs::retry::retry))
        .route("/api/pipeline/check", post(pipelines::check::check))
        .route("/api/pipeline/create", post(pipelines::create::create))
        .route("/api/pipeline/launch", post(jobs::launch::launch))
        .route("/api/pipeline/list", get(pipelines::list::list))
        .route(
            "/api/pipeline/{id}",
            get(pipelines::get::get).put(pipelines::revise::revise).delete(pipelines::delete::delete),
        )
        .route("/api/pipeline/{id}/rollback", post(pipelines::roll_back::roll_back))
        .route("/api/stats", get(stats::get::get))
        .route("/api/stats/history", get(stats::history::history))
        .route("/api/webhooks", get(webhooks::list::list).post(webhooks::create::create))
        .route("/api/webhooks/{id}", get(webhooks::get::get).delete(webhooks::delete::delete))
        .route("/api/webhooks/{id}/resume", post(webhooks::resume::resume))
        .route("/api/webhooks/{id}/deliveries", get(webhooks::deliveries::deliveries))
        .route("/api/projections/{name}/rebuild", post(projections::rebuild::rebuild))
        .route("/api/projections/{name}/parked", get(projections::parked::list))
        // The text form of a stream has a slash, and a runner's name may have more.
        .route("/api/projections/{name}/parked/{*path}", post(projections::parked::decide))
        .layer(from_fn_with_state(state.clone(), fresh::wait_for_read_models));
    api.merge(dashboard())
        .merge(at_once())
        // These handlers wait by themselves: one job, and its log, can be read before its rows are stored.
        .route("/api/jobs/{id}", get(jobs::get::get))
        .route("/api/jobs/{id}/logs", get(jobs::logs::read).post(jobs::append_logs::append))
        .fallback(ui::fallback)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .layer(from_fn_with_state(state.metrics.http.clone(), request_context))
        .with_state(state)
}

/// Runners by their names. A runner may be called `register`, so the route that registers runners also answers for
/// that runner.
fn of_runners() -> Router<AppState> {
    Router::new()
        .route(
            "/api/runners/register",
            post(runners::register::register)
                .get(|state, at| runners::get::get(state, runners::called_register(), at))
                .delete(|state, client| runners::delete::delete(state, client, runners::called_register())),
        )
        .route("/api/runners", get(runners::list::list))
        .route(
            // A runner's name may contain slashes, and clients do not escape them.
            "/api/runners/{*id}",
            get(runners::get::get)
                .delete(runners::delete::delete)
                .post(runners::heartbeat::heartbeat)
                .fallback(runners::heartbeat::wrong_method),
        )
}

/// What uses no read model, and does not wait for any.
fn at_once() -> Router<AppState> {
    Router::new()
        .route("/api/jobs/{id}/events", get(jobs::history::history))
        .route("/api/pipeline/{id}/versions", get(pipelines::versions::list))
        .route("/api/pipeline/{id}/versions/{version}", get(pipelines::versions::get))
        .route("/api/pipeline/{id}/diff", get(pipelines::diff::diff))
        .route("/api/stubs", get(stubs::list))
        .route("/api/stubs/{name}", get(stubs::get))
        .route("/api/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/events", get(events::list::list))
        .route("/api/events/stream", get(events::stream::stream))
        .route("/api/projections", get(projections::list::list))
        .route("/api/openapi.json", get(openapi::openapi))
        .route("/docs", get(docs::enter))
        .route("/docs/", get(docs::page))
        .route("/docs/{*file}", get(docs::file))
}

/// The page of the dashboard, and its files.
fn dashboard() -> Router<AppState> {
    Router::new()
        .route("/", get(ui::page))
        .route("/assets/{build}/{*path}", get(ui::asset))
        .layer(CompressionLayer::new())
}

async fn wrong_method(method: axum::http::Method, OriginalUri(uri): OriginalUri) -> ApiError {
    error::method_not_allowed(&method, uri.path())
}
