//! Maps each refusal and failure of the layers below to the status and the code that the client gets.

use axum::http::StatusCode;
use rivet_events::log::ReadError;
use rivet_projections::jobs::SearchError;
use rivet_projections::rebuild::RebuildError;
use rivet_projections::{PastError, QueryError};

use super::{ApiError, note};
use crate::commands::CommandError;
use crate::definition::DefinitionError;
use crate::dispatch::QueueUnreadable;
use crate::domain::group::GroupError;
use crate::domain::job::JobError;
use crate::domain::job_log::JobLogError;
use crate::domain::pipeline::{ParameterError, PipelineError};
use crate::domain::projection::ProjectionError;
use crate::domain::runner::RunnerError;
use crate::domain::webhook::WebhookError;
use crate::http::header::LOG_ACK;
use crate::telemetry::chain;

impl<E: Into<ApiError> + std::error::Error + 'static> From<CommandError<E>> for ApiError {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Contended(_) | CommandError::Stale(_) => {
                Self::unavailable("contended", error.to_string())
            }
            CommandError::Overloaded => Self::unavailable("overloaded", error.to_string()),
            CommandError::Unavailable(ref cause) => {
                note(cause, "the event log is unavailable");
                Self::unavailable("unavailable", error.to_string())
            }
            CommandError::Corrupt(..) => Self::internal(&error),
        }
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        let detail = error.to_string();
        match error {
            JobError::NotFound => Self::not_found("job_not_found", detail),
            JobError::KeyReused => Self::conflict("key_reused", detail),
            JobError::AlreadyClaimed | JobError::ClaimedTooLate(_) => {
                Self::conflict("already_claimed", detail)
            }
            JobError::CapabilityMissing { .. } => Self::conflict("capability_missing", detail),
            JobError::NeedsFencing => Self::conflict("needs_fencing", detail),
            JobError::NotDue(_) => Self::conflict("not_due", detail),
            JobError::PlaceMissing => Self::conflict("concurrency_limit", detail),
            JobError::LeaseLost => Self::conflict("lease_lost", detail),
            JobError::AlreadyCompleted(_) => Self::conflict("already_completed", detail),
            JobError::AlreadyEnded(_) => Self::conflict("already_ended", detail),
            JobError::NotRunning => Self::conflict("not_running", detail),
            JobError::LogSealed => Self::conflict("log_sealed", detail),
            JobError::NotTerminal(_) => Self::refused("invalid_status", detail),
        }
    }
}

impl From<GroupError> for ApiError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Full { .. } => Self::conflict("concurrency_limit", error.to_string()),
        }
    }
}

impl From<JobLogError> for ApiError {
    fn from(error: JobLogError) -> Self {
        let detail = error.to_string();
        match error {
            JobLogError::Gap { acknowledged } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "log_gap", detail)
                    .with(LOG_ACK, acknowledged.into())
            }
            JobLogError::AttemptOver => Self::conflict("lease_lost", detail),
        }
    }
}

impl From<PipelineError> for ApiError {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::NotFound => Self::not_found("pipeline_not_found", error.to_string()),
            PipelineError::Exists => Self::conflict("pipeline_exists", error.to_string()),
            PipelineError::NoVersion(_) => Self::not_found("version_not_found", error.to_string()),
            PipelineError::Changed(_) => Self::outdated("version_changed", error.to_string()),
        }
    }
}

impl From<ProjectionError> for ApiError {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::Skipped(_) => Self::conflict("event_skipped", error.to_string()),
        }
    }
}

impl From<RebuildError> for ApiError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Unknown(_) => Self::not_found("projection_not_found", error.to_string()),
            RebuildError::Newer(_) => Self::conflict("newer_build", error.to_string()),
            RebuildError::Superseded | RebuildError::Unavailable(_) | RebuildError::Log(_) => {
                tracing::warn!(error = %chain(&error), "a rebuild cannot begin");
                Self::unavailable("unavailable", error.to_string())
            }
        }
    }
}

impl From<RunnerError> for ApiError {
    fn from(error: RunnerError) -> Self {
        match error {
            RunnerError::NotFound => Self::not_found("runner_not_found", error.to_string()),
        }
    }
}

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::not_found("webhook_not_found", error.to_string()),
        }
    }
}

impl From<ParameterError> for ApiError {
    fn from(error: ParameterError) -> Self {
        Self::refused("invalid_parameters", error.to_string())
    }
}

impl From<DefinitionError> for ApiError {
    fn from(error: DefinitionError) -> Self {
        match error {
            DefinitionError::Script { .. }
            | DefinitionError::NotADefinition { .. }
            | DefinitionError::RunnerModule { .. } => Self::refused("invalid_definition", error.to_string()),
            DefinitionError::Limit { .. } => Self::refused("definition_limit", error.to_string()),
            DefinitionError::Busy => Self::unavailable("overloaded", error.to_string()),
            DefinitionError::Unavailable(_) => {
                tracing::error!(error = %chain(&error), "a definition could not be read");
                Self::unavailable("unavailable", error.to_string())
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Unavailable(ref cause) => {
                note(cause, "the read models are unavailable");
                Self::unavailable("unavailable", error.to_string())
            }
            QueryError::Archive(_) => {
                tracing::error!(error = %chain(&error), "the archive is unavailable");
                Self::unavailable("unavailable", error.to_string())
            }
            // The row is of another version of the fold. This build has begun a rebuild, after which it can be read:
            // the client should try again.
            QueryError::Undecodable { .. } => {
                tracing::warn!(error = %chain(&error), "a row of a read model cannot be read");
                Self::unavailable("unavailable", error.to_string())
            }
        }
    }
}

impl From<QueueUnreadable> for ApiError {
    /// Why it cannot be read was logged when the query failed.
    fn from(error: QueueUnreadable) -> Self {
        Self::unavailable("unavailable", error.to_string())
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        note(&error.0, "the event log is unavailable");
        Self::unavailable("unavailable", error.to_string())
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::TooWide => Self::refused("search_too_wide", error.to_string()),
            SearchError::Query(error) => error.into(),
        }
    }
}

impl From<PastError> for ApiError {
    fn from(error: PastError) -> Self {
        match error {
            PastError::TooMuch => Self::refused("too_much", error.to_string()),
            PastError::Query(error) => error.into(),
            PastError::Log(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;

    use super::*;
    use crate::http::error::ProblemContext;

    #[test]
    fn who_meets_a_row_of_another_version_comes_again() {
        let source = serde_json::from_str::<u64>("{}").unwrap_err();
        let answer = ApiError::from(QueryError::Undecodable { projection: "jobs", source }).into_response();
        let answer = ProblemContext { path: "/api/jobs".to_owned(), request_id: None }.render_problem(answer);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
    }
}
