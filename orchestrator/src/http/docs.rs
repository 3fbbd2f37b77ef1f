//! `GET /docs`: the description of the API as a page from which requests can be sent. It is Swagger UI, embedded in
//! this program, so that nothing is fetched from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::extract::OriginalUri;
use axum::http::{HeaderName, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::error::ApiError;
use super::extract::Path;

/// Content security policy: only this server's own files and answers. Swagger UI needs two exceptions: it sets inline
/// styles, and its style sheet has `data:` images.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/api/openapi.json").use_base_layout();
    Arc::new(config.try_it_out_enabled(false).display_request_duration(true).filter(true))
});

/// Redirects to the address with a slash at its end, since the page names its files relative to its own address.
pub(super) async fn enter() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The page, with the title of this API instead of its own.
pub(super) async fn page(OriginalUri(uri): OriginalUri) -> Result<Response, ApiError> {
    let page = find("", &uri)?;
    let html = String::from_utf8_lossy(&page.bytes)
        .replace("<title>Swagger UI</title>", "<title>Rivet Orchestrator API</title>");
    Ok((HEADERS, Html(html)).into_response())
}

/// A file of the page.
pub(super) async fn file(
    OriginalUri(uri): OriginalUri,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let file = find(&name, &uri)?;
    Ok((HEADERS, [(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response())
}

fn find(name: &str, uri: &Uri) -> Result<SwaggerFile<'static>, ApiError> {
    let found =
        utoipa_swagger_ui::serve(name, CONFIG.clone()).map_err(|error| ApiError::internal(&*error))?;
    found.ok_or_else(|| ApiError::not_found("unknown_path", format!("there is nothing at {}", uri.path())))
}
