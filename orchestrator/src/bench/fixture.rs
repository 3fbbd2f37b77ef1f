//! What a run needs on the server: a pipeline and runners. They are created before the load, and deleted after it.

use std::cell::RefCell;
use std::rc::Rc;

use rivet_events::id::{JobId, PipelineId};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::{BenchError, Failure};
use super::http::{Connection, Target};
use super::options::{BenchOptions, Dialect};
use super::request::{Fill, Request};

/// Requests at a time, so that thousands of runners do not register in one instant.
const AT_A_TIME: usize = 64;
/// The capability that the jobs demand, so that runners of others do not take them, unless these are unrestricted.
const DEMAND: &str = "rivet=bench";
const SCRIPT: &str = "return { name = 'bench', runner = { { key = 'rivet', value = 'bench' } }, \
                      stages = { { name = 'only', script = function() end } } }";

/// The pipeline and the runners of a run.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The server that they are on.
    pub(super) target: Rc<Target>,
    /// The pipeline.
    pub(super) pipeline: PipelineId,
    dialect: Dialect,
    workers: u32,
    /// Workers and pollers together.
    runners: u32,
}

/// An answer with the id of what was created.
#[derive(Debug, Deserialize)]
pub(super) struct Created<T> {
    /// Its id.
    pub(super) id: T,
}

/// A job that was launched.
pub(super) type Launched = Created<JobId>;

impl Fixture {
    /// Creates a pipeline, and registers a runner for each worker and each poller.
    pub(super) async fn create(options: &BenchOptions, target: &Rc<Target>) -> Result<Self, BenchError> {
        let mut connection = Connection::new(target);
        let request = Request::json(target, "POST", "/api/pipeline/create", &definition(options.dialect));
        let created = async { connection.exchange(&request, Fill::default()).await?.json() };
        let created: Result<Created<PipelineId>, Failure> = created.await;
        let created =
            created.map_err(|source| BenchError::NotPrepared { what: "create a pipeline", source })?;
        let fixture = Self {
            target: Rc::clone(target),
            pipeline: created.id,
            dialect: options.dialect,
            workers: options.workers,
            runners: options.workers + options.pollers,
        };
        let failures = fixture.for_each_runner(|runner| fixture.registration(runner)).await;
        match failures.into_iter().next() {
            None => Ok(fixture),
            Some(source) => {
                fixture.delete().await;
                Err(BenchError::NotPrepared { what: "register a runner", source })
            }
        }
    }

    /// The names of the runners that work.
    pub(super) fn workers(&self) -> impl Iterator<Item = String> {
        (0..self.workers).map(|runner| self.runner(runner))
    }

    /// The names of the runners that only poll.
    pub(super) fn pollers(&self) -> impl Iterator<Item = String> {
        (self.workers..self.runners).map(|runner| self.runner(runner))
    }

    /// Deletes everything. Returns what could not be deleted, and why.
    pub(super) async fn delete(&self) -> Vec<String> {
        let mut left = Vec::new();
        let path = format!("/api/pipeline/{}", self.pipeline);
        let request = Request::new(&self.target, "DELETE", &path);
        if let Err(failure) = Connection::new(&self.target).exchange(&request, Fill::default()).await {
            left.push(format!("pipeline {}: {failure}", self.pipeline));
        }
        let delete = |runner: &str| Request::new(&self.target, "DELETE", &format!("/api/runners/{runner}"));
        let failures = self.for_each_runner(delete).await;
        if let Some(failure) = failures.first() {
            left.push(format!("{} runners: {failure}", failures.len()));
        }
        left
    }

    /// The name of a runner. It contains the random part of the pipeline's id, so no other run has the same.
    fn runner(&self, number: u32) -> String {
        let id = self.pipeline.to_string();
        let run = id.rsplit('-').next().unwrap_or_default();
        format!("bench-{run}-{number:05}")
    }

    fn registration(&self, runner: &str) -> Request {
        let body = match self.dialect {
            Dialect::A => json!({"runner_id": runner, "capabilities": [DEMAND]}),
            Dialect::B => json!({"runner_id": runner}),
        };
        Request::json(&self.target, "POST", "/api/runners/register", &body.to_string())
    }

    /// Sends a request for each runner, [`AT_A_TIME`] at a time, and returns the failures.
    async fn for_each_runner(&self, request: impl Fn(&str) -> Request) -> Vec<Failure> {
        let failures = Rc::new(RefCell::new(Vec::new()));
        let turns = Rc::new(Semaphore::new(AT_A_TIME));
        let mut sent = JoinSet::new();
        for runner in self.workers().chain(self.pollers()) {
            let (request, target) = (request(&runner), Rc::clone(&self.target));
            let (failures, turns) = (Rc::clone(&failures), Rc::clone(&turns));
            sent.spawn_local(async move {
                let _turn = turns.acquire().await;
                if let Err(failure) = Connection::new(&target).exchange(&request, Fill::default()).await {
                    failures.borrow_mut().push(failure);
                }
            });
        }
        while sent.join_next().await.is_some() {}
        failures.take()
    }
}

fn definition(dialect: Dialect) -> String {
    let body = match dialect {
        Dialect::A => json!({
            "name": "bench", "description": "made by rivet-orchestrator bench", "script": SCRIPT,
            "required_modules": [], "tags": [], "config": {"timeout_seconds": 600, "max_retries": 0, "env_vars": {}},
        }),
        Dialect::B => json!({"script": SCRIPT}),
    };
    body.to_string()
}
