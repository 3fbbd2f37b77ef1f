//! Why a claim was not won. A claim of the next job goes on with another one, or not, by this; one of a job by its id
//! is answered with it.

use rivet_events::StreamId;
use rivet_events::log::StoreError;

use crate::commands::CommandError;
use crate::domain::group::GroupError;
use crate::domain::job::JobError;
use crate::domain::pipeline::PipelineError;
use crate::domain::runner::RunnerError;
use crate::http::error::ApiError;

/// Why a claim was not won.
#[derive(Debug)]
pub(super) enum ClaimError {
    /// The job refuses it.
    Refused(JobError),
    /// The job's concurrency group has no place left.
    Full(GroupError),
    /// The version of the pipeline that the job was launched with is not in the log.
    Undefined(PipelineError),
    /// Another stream in the same append has moved.
    Stale(StreamId),
    /// The job, its group or its pipeline cannot be read.
    Corrupt(StreamId, StoreError),
    /// Anything else.
    Failed(ApiError),
}

impl From<ApiError> for ClaimError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<JobError> for ClaimError {
    fn from(refusal: JobError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<GroupError> for ClaimError {
    fn from(full: GroupError) -> Self {
        Self::Full(full)
    }
}

impl From<PipelineError> for ClaimError {
    fn from(undefined: PipelineError) -> Self {
        Self::Undefined(undefined)
    }
}

impl From<RunnerError> for ClaimError {
    fn from(error: RunnerError) -> Self {
        Self::Failed(error.into())
    }
}

impl<E: Into<Self> + Into<ApiError> + std::error::Error + 'static> From<CommandError<E>> for ClaimError {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Stale(moved) => Self::Stale(moved),
            CommandError::Corrupt(stream, error) => Self::Corrupt(stream, error),
            CommandError::Contended(_) | CommandError::Overloaded | CommandError::Unavailable(_) => {
                Self::Failed(error.into())
            }
        }
    }
}

impl From<ClaimError> for ApiError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Stale(_) => Self::unavailable("contended", "the job changes too fast"),
            ClaimError::Corrupt(stream, error) => CommandError::<JobError>::Corrupt(stream, error).into(),
            ClaimError::Refused(refusal) => refusal.into(),
            ClaimError::Full(full) => full.into(),
            ClaimError::Undefined(undefined) => undefined.into(),
            ClaimError::Failed(error) => error,
        }
    }
}
