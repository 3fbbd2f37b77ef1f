//! `GET /api/jobs/{id}/logs`: the log of a job as a JSON array, which is read page by page while it is sent.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use rivet_events::id::JobId;
use rivet_projections::{AtLeast, QueryError, ReadModels, job_logs, jobs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::NumberedLogEntry;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::fresh::{Freshness, stale};
use crate::http::state::{AppState, unknown_job};

/// Entries that are read from the store at a time.
const PAGE: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Range {
    /// Only entries after this index.
    after: Option<u64>,
    /// Most entries; all where absent.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Only so many entries at the end, instead of `after` and `limit`.
    #[param(minimum = 1)]
    tail: Option<usize>,
}

/// Read the log of a job, in order of arrival.
///
/// Without `limit` the whole log is streamed: the server never has all of it in memory.
#[utoipa::path(
    get, path = "/api/jobs/{id}/logs", operation_id = "readLogs", tag = "Jobs",
    params(("id" = Uuid, Path, description = "The job"), Range),
    responses(
        (status = 200, description = "The entries", body = [NumberedLogEntry]),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    Freshness(at_least): Freshness,
    Path(job_id): Path<JobId>,
    Query(range): Query<Range>,
) -> Result<Response, ApiError> {
    range.check()?;
    let (job, mut fresh) = jobs::find_at_least(&state.read_models, job_id, at_least).await?;
    if job.is_none() {
        let unknown = unknown_job(job_id).into_response();
        return Ok(if fresh { unknown } else { stale(unknown) });
    }
    let (after, left) = match range.tail {
        Some(tail) => {
            let (last, is_last) = job_logs::last_index(&state.read_models, job_id, at_least).await?;
            fresh &= is_last;
            // Without a limit: entries that arrive meanwhile belong to the end too.
            (last.saturating_sub(u64::try_from(tail).unwrap_or(u64::MAX)), usize::MAX)
        }
        None => (range.after.unwrap_or_default(), range.limit.unwrap_or(usize::MAX)),
    };
    let reading =
        Reading { read_models: state.read_models.clone(), job_id, after, left, at_least, begun: false };
    // The first page is read before the answer begins, so that a failure of the store can still be answered as an
    // error.
    let Piece { text, rest, is_fresh } = reading.next().await?;
    let body = stream::iter([Ok(text)]);
    let body = Body::from_stream(stream::StreamExt::chain(body, chunks(rest)));
    let response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    Ok(if fresh && is_fresh { response } else { stale(response) })
}

impl Range {
    fn check(&self) -> Result<(), ApiError> {
        let refused = |detail| Err(ApiError::malformed("invalid_query", detail));
        match self {
            Self { limit: Some(0), .. } => refused("limit: must be at least 1"),
            Self { tail: Some(0), .. } => refused("tail: must be at least 1"),
            Self { tail: Some(_), after, limit } if after.is_some() || limit.is_some() => {
                refused("tail: is instead of after and limit")
            }
            Self { .. } => Ok(()),
        }
    }
}

/// A reader of a log, at the place that it has reached.
struct Reading {
    read_models: ReadModels,
    job_id: JobId,
    /// The last index that was read.
    after: u64,
    /// Entries that may still be read.
    left: usize,
    at_least: AtLeast,
    /// Whether the array's text has begun.
    begun: bool,
}

/// A piece of the answer's text, which is a JSON array.
struct Piece {
    text: Bytes,
    /// The reader of what comes after it.
    rest: Option<Reading>,
    /// Whether it reflects the position that the answer has to.
    is_fresh: bool,
}

impl Reading {
    async fn next(mut self) -> Result<Piece, QueryError> {
        let limit = self.left.min(PAGE);
        let (page, is_fresh) =
            job_logs::page(&self.read_models, self.job_id, self.after, limit, self.at_least).await?;
        let mut text = String::new();
        for entry in page.entries {
            text.push(if self.begun { ',' } else { '[' });
            self.begun = true;
            self.after = entry.index;
            self.left -= 1;
            let entry = serde_json::to_string(&NumberedLogEntry::from(entry));
            text.push_str(&entry.expect("invariant: a log entry is plain data"));
        }
        let more = page.next.is_some() && self.left > 0;
        if !more {
            text.push_str(if self.begun { "]" } else { "[]" });
        }
        Ok(Piece { text: text.into(), rest: more.then_some(self), is_fresh })
    }
}

fn chunks(reading: Option<Reading>) -> impl Stream<Item = Result<Bytes, QueryError>> {
    stream::try_unfold(reading, async |reading| match reading {
        Some(reading) => reading.next().await.map(|piece| Some((piece.text, piece.rest))),
        None => Ok(None),
    })
}
