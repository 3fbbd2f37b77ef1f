//! The query parameters of the feed: its filter, and its position.

use rivet_events::id::PipelineId;
use rivet_events::{Position, StreamType};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::feed::Filter;
use crate::http::error::ApiError;
use crate::http::filter::words;

/// The filter, as queries spell it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FeedFilter {
    /// Only events of this type, or of several with commas between them. A type that this build does not know is no
    /// error: a newer one may record it.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    r#type: Vec<String>,
    /// Only events of streams of this kind.
    #[param(inline)]
    stream_type: Option<StreamType>,
    /// Only events of the stream with this id.
    stream_id: Option<String>,
    /// Only events of this pipeline and of its jobs.
    pipeline_id: Option<PipelineId>,
}

impl From<FeedFilter> for Filter {
    fn from(filter: FeedFilter) -> Self {
        Self {
            types: filter.r#type,
            stream_type: filter.stream_type,
            stream_id: filter.stream_id,
            pipeline_id: filter.pipeline_id,
        }
    }
}

/// The position with this number, if the log can ever have it.
pub(super) fn position(number: u64) -> Result<Position, ApiError> {
    match i64::try_from(number) {
        Ok(_) => Ok(Position(number)),
        Err(_) => Err(ApiError::malformed("invalid_query", "after: is no position")),
    }
}
