//! The version of a pipeline as an entity tag: `"3"`.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use super::body::Pipeline;
use crate::http::error::ApiError;

/// A pipeline, with its version in `ETag`.
pub(in crate::http) struct Tagged(pub(super) Pipeline);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let tag = format!("\"{}\"", self.0.version);
        ([(header::ETAG, tag)], Json(self.0)).into_response()
    }
}

/// The versions that `If-Match` names, one of which must be current; `None` if any will do.
#[derive(Debug, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub(in crate::http) struct IfMatch(
    #[param(value_type = String, pattern = r#"^(\*|(W/)?"[0-9]{1,9}"( *, *(W/)?"[0-9]{1,9}")*)$"#)]
    pub(super) Option<Vec<u32>>,
);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut versions = None;
        for value in parts.headers.get_all(header::IF_MATCH) {
            let value = value.to_str().ok().map(str::trim);
            if value == Some("*") {
                return Ok(Self(None));
            }
            let named = value.and_then(versions_in).ok_or_else(|| {
                let detail =
                    "the header if-match has no value that can be read: it must be *, or versions such as \"3\"";
                ApiError::malformed("invalid_header", detail)
            })?;
            versions.get_or_insert_with(Vec::new).extend(named);
        }
        Ok(Self(versions))
    }
}

/// The versions in a list of entity tags, if it is one. A weak tag never matches, and neither does one that is not a
/// version.
fn versions_in(list: &str) -> Option<Vec<u32>> {
    let (mut versions, mut rest) = (vec![], list);
    loop {
        let strong = rest.strip_prefix("W/").unwrap_or(rest);
        let (tag, after) = strong.strip_prefix('"')?.split_once('"')?;
        versions.extend(tag.parse::<u32>().ok().filter(|_| strong == rest));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(versions);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_the_strong_tags_of_a_list() {
        assert_eq!(versions_in("\"3\""), Some(vec![3]));
        assert_eq!(versions_in("\"3\" ,W/\"4\", \"a,b\",\"5\""), Some(vec![3, 5]));
        for wrong in ["", "3", "\"3", "w/\"3\"", "\"3\" \"4\"", "\"3\",", "*"] {
            assert_eq!(versions_in(wrong), None, "{wrong}");
        }
    }
}
