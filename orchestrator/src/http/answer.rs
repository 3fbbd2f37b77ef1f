//! Shapes of answers that many handlers share: an answer with a position, a page of a list, an empty answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rivet_events::Position;
use rivet_projections::{Cursor, Page};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::error::ApiError;
use super::header::POSITION;

/// Rows of a page where the client does not say.
const DEFAULT_LIMIT: usize = 500;
/// Most rows of a page.
const MAX_LIMIT: usize = 1_000;

/// The answer to a command, with the command's position in the log as `Rivet-Position`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded<T>(pub(super) Position, pub(super) T);

impl<T: IntoResponse> IntoResponse for Recorded<T> {
    fn into_response(self) -> Response {
        ([(POSITION, HeaderValue::from(self.0.0))], self.1).into_response()
    }
}

/// Which page of a list a client wants.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Most rows of the page; 500 where absent. The page has fewer where they would be larger than 8 MiB together.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Where the page begins: opaque, from the `Link` of the page before.
    #[param(pattern = "^-?[0-9]{1,18}_.+$")]
    cursor: Option<String>,
}

impl Paging {
    /// The number of rows asked for; 1 to 1,000.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        limit(self.limit, DEFAULT_LIMIT)
    }

    /// Where the page begins; `None` for the first page.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, ApiError> {
        let parsed = self.cursor.as_deref().map(str::parse).transpose();
        parsed.map_err(|error| ApiError::malformed("invalid_query", format!("cursor: {error}")))
    }
}

/// The limit asked for, 1 to 1,000; `default` where the client does not say.
pub(super) fn limit(asked: Option<usize>, default: usize) -> Result<usize, ApiError> {
    match asked.unwrap_or(default) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(ApiError::malformed("invalid_query", format!("limit: must be from 1 to {MAX_LIMIT}"))),
    }
}

/// A page of a list: a bare array, with the address of the next page in `Link`.
pub(super) fn listed<T, B: Serialize>(uri: &Uri, page: Page<T>, body: impl Fn(T) -> B) -> Response {
    let bodies: Vec<B> = page.items.into_iter().map(body).collect();
    let mut response = Json(bodies).into_response();
    let link = page.next.and_then(|next| next_link(uri, "cursor", &next));
    response.headers_mut().extend(link.map(|link| (header::LINK, link)));
    response
}

/// The value of `Link` for the next page: the same address with one parameter of the query replaced.
pub(super) fn next_link(uri: &Uri, parameter: &str, next: &impl ToString) -> Option<HeaderValue> {
    let others = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(others.filter(|(name, _)| name != parameter))
        .append_pair(parameter, &next.to_string())
        .finish();
    HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", uri.path())).ok()
}

/// 204, for commands whose answer has no body.
pub(super) fn done(position: Position) -> Recorded<StatusCode> {
    Recorded(position, StatusCode::NO_CONTENT)
}
