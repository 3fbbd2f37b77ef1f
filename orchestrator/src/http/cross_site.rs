//! Protection against cross-site request forgery: refuses commands that another web site makes a browser send. A
//! browser may reach servers that the site itself cannot.
//!
//! The rules are those of Go's `net/http.CrossOriginProtection`
//! (<https://pkg.go.dev/net/http#CrossOriginProtection>), but ports are not compared, since proxies often do not pass
//! them on. Clients that are not browsers send neither `Sec-Fetch-Site` nor `Origin`, and are let through.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};

use super::error::ApiError;

/// The header in which a browser says where a request comes from, if it trusts the connection.
const FETCH_SITE: &str = "sec-fetch-site";

/// Lets through safe methods, what comes from our own pages, and what no browser sent.
pub(super) fn check(request: &Request) -> Result<(), ApiError> {
    if request.method().is_safe() || !is_cross_site(request.headers()) {
        return Ok(());
    }
    let detail = "a command that another web site makes a browser send is not carried out";
    Err(ApiError::new(StatusCode::FORBIDDEN, "cross_site", detail))
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(FETCH_SITE), text(header::ORIGIN.as_str())) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str()).and_then(host);
            host.is_none() || self::host(origin) != host
        }
        (None, None) => false,
    }
}

/// The host of a `Host` or an `Origin` header, without its port.
fn host(text: &str) -> Option<String> {
    text.parse::<Uri>().ok()?.host().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_refused(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter();
        is_cross_site(
            &headers
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
        )
    }

    #[test]
    fn what_no_browser_sent_is_let_through() {
        assert!(!is_refused(&[]));
        assert!(!is_refused(&[("host", "ci.example:8080")]));
    }

    #[test]
    fn the_word_of_the_browser_counts_first() {
        assert!(!is_refused(&[
            ("sec-fetch-site", "same-origin"),
            ("host", "inner"),
            ("origin", "http://outer")
        ]));
        assert!(!is_refused(&[("sec-fetch-site", "none")]));
        assert!(is_refused(&[("sec-fetch-site", "cross-site")]));
        assert!(is_refused(&[("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn without_it_the_origin_must_be_this_host() {
        assert!(!is_refused(&[("host", "ci.example:8080"), ("origin", "http://ci.example:8080")]));
        assert!(!is_refused(&[("host", "CI.example"), ("origin", "https://ci.example:8443")]));
        assert!(!is_refused(&[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")]));
        assert!(is_refused(&[("host", "ci.example:8080"), ("origin", "http://evil.example")]));
        assert!(is_refused(&[("host", "ci.example:8080"), ("origin", "null")]));
        assert!(is_refused(&[("origin", "http://ci.example")]));
    }
}
