//! The state that handlers share, and operations that several of them need.

use std::ops::Deref;
use std::sync::Arc;

use rivet_events::Position;
use rivet_events::deliveries::Deliveries;
use rivet_events::id::{JobId, PipelineId, RunnerId};
use rivet_events::job::JobLaunched;
use rivet_events::pipeline::PipelineDefinition;
use rivet_events::runner::Capabilities;
use rivet_projections::{AtLeast, ReadModels};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use crate::clock::Clock;
use crate::commands::{CommandError, Commands, Committed};
use crate::config::Config;
use crate::definition::Evaluator;
use crate::dispatch::Dispatcher;
use crate::domain::job::{JobState, Retries};
use crate::domain::pipeline::PipelineError;
use crate::feed::Feed;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::server::Connections;

/// The state that handlers share. Clones share it too, and are cheap: every layer makes one for every request.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Parts>);

impl AppState {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of the handlers' state.
pub(crate) struct Parts {
    pub(crate) commands: Commands,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) read_models: ReadModels,
    pub(crate) evaluator: Arc<Evaluator>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) feed: Feed,
    pub(crate) deliveries: Deliveries,
    pub(crate) connections: Arc<Connections>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
    /// Work that outlives its request; shutdown waits for it.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the server is about to stop.
    pub(crate) draining: CancellationToken,
    /// The head of the log when the server started: the server is ready once its read models have reached it.
    pub(crate) began_at: Position,
}

impl AppState {
    /// The position to answer a command with: that of its last event, or the head of the log if it recorded nothing.
    pub(super) async fn position_of<S>(&self, committed: &Committed<S>) -> Result<Position, ApiError> {
        match committed.position {
            Some(position) => Ok(position),
            None => Ok(self.commands.head().await?),
        }
    }

    /// The condition that an answer reflects every event up to `position`, with the usual timeout.
    pub(super) fn at_least(&self, position: Position) -> AtLeast {
        AtLeast { position, timeout: self.config.load.read_wait }
    }

    /// Whether the job may be retried, for a command from which a retry may follow.
    pub(super) async fn retries(&self, job: &JobState) -> Retries {
        match job.launch() {
            Some(launch) => self.commands.retries(launch.pipeline_id).await,
            None => Retries::Forbidden,
        }
    }

    /// The capabilities of a runner; unrestricted where it never told any.
    pub(super) async fn capabilities(&self, runner_id: &RunnerId) -> Result<Capabilities, ApiError> {
        let runner = self.commands.runners.load(runner_id).await?.state;
        Ok(runner.capabilities())
    }

    /// The version of the pipeline that a job was launched with; also of a deleted pipeline. One that is not the newest,
    /// as far as is known here, is read from the log.
    pub(super) async fn definition_of(
        &self,
        launch: &JobLaunched,
    ) -> Result<Arc<PipelineDefinition>, CommandError<PipelineError>> {
        let (id, version) = (launch.pipeline_id, launch.pipeline_version);
        let pipeline = self.commands.pipelines.load(id).await?.state;
        if let Some(newest) = pipeline.newest().filter(|newest| newest.version == version) {
            return Ok(newest.definition.clone());
        }
        let recorded = self.commands.recorded_version(id, version).await;
        let recorded = recorded.map_err(|error| CommandError::Unavailable(error.0))?;
        recorded
            .map(|version| Arc::new(version.definition))
            .ok_or(CommandError::Refused(PipelineError::NotFound))
    }
}

/// The 404 of a job.
pub(super) fn unknown_job(id: JobId) -> ApiError {
    ApiError::not_found("job_not_found", format!("there is no job {id}"))
}

/// The 404 of a pipeline.
pub(super) fn unknown_pipeline(id: PipelineId) -> ApiError {
    ApiError::not_found("pipeline_not_found", format!("there is no pipeline {id}"))
}
