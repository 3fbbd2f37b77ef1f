//! Runners: registering them, their heartbeats, and the list of them.

mod body;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod heartbeat;
pub(super) mod list;
pub(super) mod register;

use rivet_events::id::RunnerId;

use super::error::ApiError;
use super::extract::Path;

/// A runner's name from the path.
fn runner_id(text: &str) -> Result<RunnerId, ApiError> {
    text.parse().map_err(|error| ApiError::malformed("invalid_path", format!("{error}")))
}

/// The name in the path of a runner that is called `register`, as the route that registers runners is.
pub(super) fn called_register() -> Path<String> {
    Path("register".to_owned())
}

/// The 404 of a runner.
fn unknown_runner(id: &RunnerId) -> ApiError {
    ApiError::not_found("runner_not_found", format!("there is no runner {id}"))
}
