//! The dashboard: static files that are embedded in the binary (in a debug build: read from `orchestrator/ui`).
//!
//! The address of a file names the build, `/assets/BUILD/PATH`, so browsers may cache it for ever. The one page that
//! refers to these addresses is fetched anew each time. Its content security policy allows no scripts but these
//! files.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::extract::Path;

/// The page that starts the dashboard; it is the answer at every address of the dashboard.
const PAGE: &str = "index.html";
/// The placeholder in the page for the name of the build.
const BUILD_PLACEHOLDER: &str = "{{build}}";
/// The tags around the only inline script of the page, the import map, which says where its modules are.
const IMPORT_MAP: (&str, &str) = ("<script type=\"importmap\">", "</script>");

#[derive(RustEmbed)]
#[folder = "ui/"]
struct Files;

/// The name of this build: the beginning of a digest of all files.
static BUILD: LazyLock<String> = LazyLock::new(|| {
    let mut paths: Vec<_> = Files::iter().collect();
    paths.sort_unstable();
    let mut digest = Sha256::new();
    for path in paths {
        digest.update(path.as_bytes());
        digest.update(Files::get(&path).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    let digest: [u8; 32] = digest.finalize().into();
    let name = digest.first_chunk::<8>().expect("invariant: a digest has more than eight bytes");
    format!("{:016x}", u64::from_be_bytes(*name))
});

/// `GET /`
pub(super) async fn page() -> Response {
    let file = Files::get(PAGE).expect("invariant: the page is one of the files");
    let html = String::from_utf8_lossy(&file.data).replace(BUILD_PLACEHOLDER, &BUILD);
    let mut response = Body::from(html.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let policy = HeaderValue::try_from(content_security_policy(&html));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.expect("invariant: a policy is printable ASCII"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `GET /assets/{build}/{*path}`
pub(super) async fn asset(
    Path((build, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // A page of another build must not get modules of this one.
    let file = if build == *BUILD { Files::get(&path) } else { None };
    let file = file.ok_or_else(|| {
        ApiError::not_found("unknown_path", format!("the dashboard has no file {path:?} of build {build:?}"))
    })?;
    let tag = entity_tag(&file);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let head: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(&path))),
        (header::CACHE_CONTROL, HeaderValue::from_static(asset_caching())),
        (header::ETAG, tag),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((head, Body::from(file.data)).into_response())
}

/// Answers what matches no route: with the dashboard where a browser opens a page, and else with 404.
pub(super) async fn fallback(method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let is_read = method == Method::GET || method == Method::HEAD;
    let is_api = path == "/api" || path.starts_with("/api/");
    if is_read && !is_api && accepts_html(&headers) {
        return page().await;
    }
    let slash = if is_api && path.ends_with('/') { "; no path of the API ends with a slash" } else { "" };
    ApiError::not_found("unknown_path", format!("there is nothing at {path}{slash}")).into_response()
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("text/html"))
}

/// Allows as scripts only our files and the import map, and nothing from elsewhere. No text may become markup or code
/// (trusted types without any policy).
fn content_security_policy(html: &str) -> String {
    let (opening, closing) = IMPORT_MAP;
    let map = html.split_once(opening).and_then(|(_, rest)| rest.split_once(closing)).unwrap_or_default().0;
    let digest = STANDARD.encode(Sha256::digest(map));
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

fn entity_tag(file: &EmbeddedFile) -> HeaderValue {
    let digest = STANDARD.encode(file.metadata.sha256_hash());
    HeaderValue::try_from(format!("\"{digest}\"")).expect("invariant: base64 is printable ASCII")
}

/// The `Cache-Control` of a file. In a debug build files may change while the build keeps its name.
const fn asset_caching() -> &'static str {
    if cfg!(debug_assertions) { "no-cache" } else { "public, max-age=31536000, immutable" }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').unwrap_or_default().1 {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_who_accepts_html_by_name() {
        let accepts = |value: &'static str| {
            accepts_html(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepts("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
        assert!(accepts("application/json, Text/HTML;q=0.5"));
        assert!(!accepts("*/*"));
        assert!(!accepts("application/json"));
        assert!(!accepts_html(&HeaderMap::new()));
    }

    #[test]
    fn the_policy_names_the_digest_of_the_import_map() {
        let policy =
            content_security_policy("<p><script type=\"importmap\">{}</script><script src=\"x\"></script>");
        // Of the text {}.
        assert!(policy.contains("'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o='"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn every_file_has_a_type() {
        for path in Files::iter() {
            let is_licence = path.ends_with("LICENSE");
            let is_page = path == PAGE;
            assert!(is_licence || is_page || !content_type(&path).starts_with("text/plain"), "{path}");
        }
    }
}
