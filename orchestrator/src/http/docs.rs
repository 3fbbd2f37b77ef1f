//! `GET /docs`: the description of the API as a page from which requests can be sent. It is Swagger UI, embedded in
//! this program, so that nothing is fetched from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::extract::OriginalUri;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

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

/// The page.
pub(super) async fn page(uri: OriginalUri) -> Result<Response, ApiError> {
    file(uri, Path(String::new())).await
}

/// A file of the page.
pub(super) async fn file(
    OriginalUri(uri): OriginalUri,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let found =
        utoipa_swagger_ui::serve(&name, CONFIG.clone()).map_err(|error| ApiError::internal(&*error))?;
    let file = found
        .ok_or_else(|| ApiError::not_found("unknown_path", format!("there is nothing at {}", uri.path())))?;
    Ok((HEADERS, [(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response())
}
