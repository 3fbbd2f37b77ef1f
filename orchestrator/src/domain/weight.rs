//! Estimates how much memory an aggregate takes, for caches whose capacity is in bytes.

use std::sync::Arc;

use rivet_events::pipeline::{InputSpec, PipelineDefinition, Tag};
use serde_json::{Map, Value};

use super::job::JobState;
use super::pipeline::PipelineState;
use super::runner::RunnerState;

/// An aggregate whose weight in a cache can be estimated.
pub trait Weigh {
    /// Size in bytes of the data whose size clients choose. Other fields do not count.
    fn weight(&self) -> usize;
}

impl<T: Weigh> Weigh for Arc<T> {
    fn weight(&self) -> usize {
        (**self).weight()
    }
}

pub(super) fn of_job(job: &JobState) -> usize {
    let (launch, history, reason) = match job {
        JobState::Absent => return 0,
        JobState::Queued(queued) => (&queued.launch, &queued.history, None),
        JobState::Running(running) => {
            let reason = running.cancel.as_ref().and_then(|cancel| cancel.reason.as_ref());
            (&running.launch, &running.history, reason)
        }
        JobState::Ended(ended) => (&ended.launch, &ended.history, ended.reason.as_ref()),
    };
    let group = launch.concurrency.as_ref().map(|concurrency| &concurrency.group);
    let claims = history.past.iter().filter_map(|past| past.claim.as_ref());
    let of_claims = claims.map(|claim| claim.runner_id.as_str().len() + claim.key.len());
    of_object(&launch.parameters)
        + of_texts(&launch.demands)
        + of_texts(group.into_iter().chain(reason))
        + of_claims.sum::<usize>()
        + size_of_val(history.past.as_slice())
}

pub(super) fn of_pipeline(pipeline: &PipelineState) -> usize {
    pipeline.newest().map_or(0, |newest| of_definition(&newest.definition))
}

pub(super) fn of_runner(runner: &RunnerState) -> usize {
    match runner {
        RunnerState::Absent => 0,
        RunnerState::Registered(runner) | RunnerState::Removed(runner) => {
            of_texts(runner.capabilities.0.iter().flatten()) + of_texts(&runner.boot_id)
        }
    }
}

fn of_definition(definition: &PipelineDefinition) -> usize {
    let PipelineDefinition { name, description, script, tags, required_modules, demands, inputs, config } =
        definition;
    let tags = tags.iter().flat_map(|tag| match tag {
        Tag::Text(text) => vec![text],
        Tag::Pair { key, value } => vec![key, value],
    });
    let inputs = inputs.iter().map(|(name, input)| {
        let InputSpec { kind, description, required: _, default, options } = input;
        let values = default.iter().chain(options.iter().flatten());
        of_texts([name, kind]) + of_texts(description) + values.map(of_value).sum::<usize>()
    });
    of_texts([name, script])
        + of_texts(description)
        + of_texts(tags)
        + of_texts(required_modules)
        + of_texts(demands)
        + inputs.sum::<usize>()
        + of_texts(config.env_vars.iter().flat_map(|(name, value)| [name, value]))
}

fn of_texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(|text| size_of::<String>() + text.len()).sum()
}

fn of_object(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| size_of::<String>() + key.len() + of_value(value)).sum()
}

/// Size in memory, which is far more than that of the JSON text for values like `[1,2,3]`.
fn of_value(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(of_value).sum(),
        Value::Object(object) => of_object(object),
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rivet_events::id::{JobId, PipelineId};
    use rivet_events::job::{JobCancelled, JobCompleted, JobEvent, JobResult, JobStatus};
    use rivet_events::runner::{Capabilities, RunnerEvent, RunnerRegistered};

    use super::*;
    use crate::domain::job::fixture::plain_launch;

    const LONG: usize = 1_000_000;

    fn long() -> String {
        "x".repeat(LONG)
    }

    #[test]
    fn what_a_runner_tells_of_itself_has_its_weight() {
        let registered = RunnerState::default().evolve(RunnerEvent::Registered(RunnerRegistered {
            runner_id: "runner-1".parse().unwrap(),
            capabilities: Capabilities(Some(vec![long()])),
            boot_id: Some(long()),
            registered_at: DateTime::UNIX_EPOCH,
        }));
        assert!(of_runner(&registered) >= 2 * LONG);
    }

    #[test]
    fn the_reason_of_a_cancel_has_its_weight_and_a_result_has_none() {
        let (job_id, pipeline_id) = (JobId::generate(), PipelineId::generate());
        let launch = plain_launch(job_id, pipeline_id, DateTime::UNIX_EPOCH);
        let launched = JobState::default().evolve(JobEvent::Launched(launch));
        let cancelled = launched.clone().evolve(JobEvent::Cancelled(JobCancelled {
            job_id,
            pipeline_id,
            runner_id: None,
            attempt: 0,
            result: None,
            reason: Some(long()),
            cancelled_at: DateTime::UNIX_EPOCH,
        }));
        assert!(of_job(&cancelled) >= LONG);
        let (success, output) = (true, Some(long().into()));
        let completed = launched.evolve(JobEvent::Completed(JobCompleted {
            job_id,
            pipeline_id,
            runner_id: "runner-1".parse().unwrap(),
            attempt: 1,
            status: JobStatus::Succeeded,
            result: Some(JobResult { success, exit_code: 0, output, error_message: None }),
            reason: None,
            completed_at: DateTime::UNIX_EPOCH,
        }));
        assert!(of_job(&completed) < LONG);
    }
}
