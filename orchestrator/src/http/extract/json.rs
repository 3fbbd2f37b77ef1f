//! JSON bodies, read as `strict` says.

use std::fmt::Display;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::strict::Strict;
use crate::http::error::ApiError;

/// The largest body: a log batch can be the whole output of a job.
pub(in crate::http) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// A JSON body. NUL characters are refused, since not every database can store them.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Json<T>(pub(in crate::http) T);

/// A JSON body that may contain NUL characters, for the handler to replace.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct JsonWithNul<T>(pub(in crate::http) T);

/// A JSON body, or none.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct OptionalJson<T>(pub(in crate::http) Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = read_json(request).await?;
        if has_nul(&body) {
            return Err(ApiError::refused("invalid_body", "the body contains a NUL character"));
        }
        parse(&body).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonWithNul<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        parse(&read_json(request).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = read_body(body).await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(None));
        }
        let request = Request::from_parts(parts, Body::from(body));
        let Json(body) = Json::<Option<T>>::from_request(request, state).await?;
        Ok(Self(body))
    }
}

async fn read_json(request: Request) -> Result<Bytes, ApiError> {
    let is_json =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(
            |value| {
                let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                essence == "application/json"
                    || (essence.starts_with("application/") && essence.ends_with("+json"))
            },
        );
    if !is_json {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the content type must be application/json",
        ));
    }
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must not be compressed: no content-encoding but identity is accepted",
        ));
    }
    read_body(request.into_body()).await
}

async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("the body is larger than {MAX_BODY_BYTES} bytes"),
        )),
        Err(error) => {
            Err(ApiError::malformed("incomplete_body", format!("the body did not arrive: {error}")))
        }
    }
}

/// Parses a body: 400 when it is not JSON, 422 with the path of the wrong member when it is JSON of another shape.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // The parser does not look into the texts of members that it skips.
    let body = std::str::from_utf8(body).map_err(|error| malformed(&error))?;
    let mut deserializer = serde_json::Deserializer::from_str(body);
    T::deserialize(Strict::new(&mut deserializer))
        .and_then(|value| deserializer.end().map(|()| value))
        // Tracking the path costs as much as the parsing, so it is done only for a body that is refused.
        .or_else(|_| parse_tracking_path(body))
}

fn parse_tracking_path<T: DeserializeOwned>(body: &str) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let value = serde_path_to_error::deserialize(Strict::new(&mut deserializer)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // What follows the wrong member may not be JSON.
        if let Err(error) = serde_json::from_str::<IgnoredAny>(body) {
            malformed(&error)
        } else if inner.is_data() {
            let place = if path == "." { String::new() } else { format!("{path}: ") };
            ApiError::refused("invalid_body", format!("{place}{inner}"))
        } else {
            malformed(&inner)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &dyn Display) -> ApiError {
    ApiError::malformed("malformed_json", format!("the body is not JSON: {error}"))
}

/// Whether a JSON text has NUL in a string: `\u0000` after an even number of backslashes.
fn has_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        list: Vec<u8>,
    }

    #[test]
    fn what_is_no_json_is_malformed_and_what_is_wrong_json_is_refused_by_place() {
        let malformed: [&[u8]; 4] = [b"{", b"{\"list\":[1]} x", b"", b"{\"list\":[1],\"skipped\":\"\xff\"}"];
        for malformed in malformed {
            let refused = parse::<Sample>(malformed).unwrap_err();
            assert!(format!("{refused:?}").contains("malformed_json"), "{refused:?}");
        }
        let malformed_after_a_wrong_member = parse::<Sample>(b"{\"list\":\"a\", oops").unwrap_err();
        assert!(format!("{malformed_after_a_wrong_member:?}").contains("malformed_json"));
        let refused = parse::<Sample>(b"{\"list\":[1,\"a\"]}").unwrap_err();
        for part in ["invalid_body", "list[1]"] {
            assert!(format!("{refused:?}").contains(part), "{refused:?}");
        }
        assert_eq!(parse::<Sample>(b"{\"list\":[1]}").unwrap(), Sample { list: vec![1] });
    }

    #[test]
    fn a_nul_is_seen_and_a_spelled_backslash_is_not_taken_for_one() {
        assert!(has_nul(br#"{"a":"x\u0000"}"#));
        assert!(has_nul(br#"{"a":"\\\u0000"}"#));
        assert!(!has_nul(br#"{"a":"\\u0000"}"#));
        assert!(!has_nul(br#"{"a":"\n\u0001"}"#));
        assert!(!has_nul(b"\\"));
    }
}
