//! What a reader of the feed asks for.

use rivet_events::id::PipelineId;
use rivet_events::{Position, StreamType};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::feed::Filter;
use crate::http::error::ApiError;

/// The filter, as queries spell it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FeedFilter {
    /// One type of event, or several with commas between them.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    r#type: Vec<String>,
    /// Of streams of this kind alone.
    #[param(inline)]
    stream_type: Option<StreamType>,
    /// Of the stream with this name alone.
    stream_id: Option<String>,
    /// Of this pipeline and its jobs alone.
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

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
}
