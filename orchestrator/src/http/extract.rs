//! Extractors of bodies, paths, queries and headers. They take the place of axum's, so that every refusal is an
//! [`ApiError`].

mod json;
mod strict;

use std::str::FromStr;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use rivet_events::Metadata;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::metadata::by_client;
use super::request_line::RequestId;
pub(super) use json::{Json, JsonWithNul, MAX_BODY_BYTES, OptionalJson};

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Values of the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<T>(pub(super) T);

/// Values of the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<T>(pub(super) T);

/// The metadata of a command whose sender does not say that it is a runner.
#[derive(Debug, Clone)]
pub(super) struct Client(pub(super) Metadata);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::malformed("invalid_path", reason(&rejection.body_text()))),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::malformed("invalid_query", reason(&rejection.body_text()))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Extension(request_id) = Extension::<RequestId>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::internal(&rejection))?;
        Ok(Self(by_client(&parts.headers, request_id)))
    }
}

/// What is wrong, without the beginning by which axum says where: the problem's code says that.
fn reason(rejection: &str) -> &str {
    let beginnings = ["Failed to deserialize query string: ", "Invalid URL: "];
    beginnings.iter().find_map(|beginning| rejection.strip_prefix(beginning)).unwrap_or(rejection)
}

/// The value of a header, if it is present. One that does not parse is refused with the header's name.
pub(super) fn header_value<T: FromStr>(
    headers: &HeaderMap,
    name: &HeaderName,
) -> Result<Option<T>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    parsed.map(Some).ok_or_else(|| {
        ApiError::malformed("invalid_header", format!("the header {name} has no value that can be read"))
    })
}

/// The idempotency key in a header, if it is present: by it a repeated request is recognized.
pub(super) fn request_key(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ApiError> {
    let key: Option<String> = header_value(headers, name)?;
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY_BYTES) {
        let detail = format!("the header {name} must have 1 to {MAX_KEY_BYTES} bytes");
        return Err(ApiError::malformed("invalid_header", detail));
    }
    Ok(key)
}
