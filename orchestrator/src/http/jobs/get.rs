//! `GET /api/jobs/{id}`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use rivet_events::id::JobId;
use rivet_events::{Envelope, Event, Position, StreamId, Version};
use rivet_projections::jobs;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};

use super::waiting::waiting;
use crate::domain::job::JobState;
use crate::http::body::Job;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::{AppState, unknown_job};

fn moment() -> Schema {
    let position = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let time = ObjectBuilder::new().schema_type(Type::String);
    let time = time.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    OneOfBuilder::new().item(position).item(time).into()
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Moment {
    /// A position of the log, or a time; now where absent.
    #[param(schema_with = moment)]
    at: Option<String>,
}

/// Get a job, as it is or as it was.
///
/// One that waits says why.
#[utoipa::path(
    get, path = "/api/jobs/{id}", operation_id = "getJob", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job"), Moment),
    responses(
        (status = 200, description = "The job", body = Job),
        (status = 404, description = "`job_not_found`"),
        (status = 422, description = "`in_the_future`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
    Query(moment): Query<Moment>,
) -> Result<Json<Job>, ApiError> {
    let now = state.clock.now();
    if let Some(at) = moment.at {
        return Ok(Json(as_it_was(&state, id, At::parse(&at)?, now).await?));
    }
    let row = jobs::find(&state.read_models, id).await?.ok_or_else(|| unknown_job(id))?;
    let waiting = waiting(&state, &row, now).await?;
    Ok(Json(Job::from_row(row, now).with_waiting(waiting)))
}

/// A moment in the history of everything.
enum At {
    Position(Position),
    Time(DateTime<Utc>),
}

impl At {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let position = text.parse().map(|position| Self::Position(Position(position)));
        position
            .or_else(|_| DateTime::parse_from_rfc3339(text).map(|time| Self::Time(time.to_utc())))
            .map_err(|_| {
                ApiError::malformed(
                    "invalid_query",
                    "at: must be a position or a time such as 2026-01-31T12:00:00Z",
                )
            })
    }

    fn includes(&self, envelope: &Envelope) -> bool {
        match self {
            Self::Position(position) => envelope.position <= *position,
            Self::Time(time) => envelope.recorded_at <= *time,
        }
    }
}

/// The job as its events up to then left it; unknown if there were none.
async fn as_it_was(state: &AppState, id: JobId, at: At, now: DateTime<Utc>) -> Result<Job, ApiError> {
    let log = state.commands.log();
    let ahead = match at {
        At::Position(position) => position > log.head().await?,
        At::Time(time) => time > now,
    };
    if ahead {
        return Err(ApiError::refused("in_the_future", "at: has not come yet"));
    }
    let envelopes = log.read_stream(&StreamId::job(id), Version::default()).await?;
    let mut job = JobState::default();
    for envelope in envelopes.iter().take_while(|envelope| at.includes(envelope)) {
        if let Event::Job(event) = &envelope.event {
            job = job.evolve(event.clone());
        }
    }
    let then = match at {
        At::Time(time) => time,
        At::Position(_) => envelopes.iter().rfind(|e| at.includes(e)).map_or(now, |last| last.recorded_at),
    };
    Job::from_state(&job, then).ok_or_else(|| unknown_job(id))
}
