//! The query parameter `at`: a moment of the past, as a position of the log or as a time.

use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rivet_events::Position;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::answer::Recorded;
use super::error::ApiError;
use super::filter::{A_TIME, time};
use super::state::AppState;
use crate::timeline::{last_before, recorded_at};

/// The query of GETs that can show the past.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct At {
    /// The moment to show, as a position of the log or a time; now where absent.
    #[param(value_type = Option<PositionOrTime>, inline)]
    at: Option<String>,
}

/// A moment in the history of the log.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the parameter")]
#[serde(untagged)]
enum PositionOrTime {
    Position(Position),
    Time(DateTime<Utc>),
}

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// The position of the last event that had happened.
    pub(super) position: Position,
    /// The time of the moment.
    pub(super) time: DateTime<Utc>,
}

impl At {
    /// The moment that is asked for, after waiting for the read models to reach it; `None` is now.
    pub(super) async fn moment(&self, state: &AppState) -> Result<Option<Moment>, ApiError> {
        let Some(text) = &self.at else { return Ok(None) };
        let moment = find(state, text).await?;
        if !state.read_models.wait_for(moment.position, state.config.load.read_wait).await {
            return Err(ApiError::unavailable("behind", "the read models have not come to that moment yet"));
        }
        Ok(Some(moment))
    }
}

/// An answer that shows a moment, with the moment's position as `Rivet-Position`; or that shows now, without one.
pub(super) fn answer_at(then: Option<Moment>, answer: impl IntoResponse) -> Response {
    match then {
        Some(then) => Recorded(then.position, answer).into_response(),
        None => answer.into_response(),
    }
}

async fn find(state: &AppState, text: &str) -> Result<Moment, ApiError> {
    let log = &**state.commands.log();
    let ahead = || ApiError::refused("in_the_future", "at: has not come yet");
    if let Ok(position) = text.parse() {
        if position > log.head().await?.0 {
            return Err(ahead());
        }
        let time = recorded_at(log, position).await?.unwrap_or_default();
        return Ok(Moment { position: Position(position), time });
    }
    let time = time(text)
        .ok_or_else(|| ApiError::malformed("invalid_query", format!("at: must be a position or {A_TIME}")))?;
    if time > state.clock.now() {
        return Err(ahead());
    }
    Ok(Moment { position: last_before(log, time).await?, time })
}
