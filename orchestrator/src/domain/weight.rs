//! Estimates how much memory an aggregate takes, for caches whose capacity is in bytes.

use rivet_events::job::JobResult;
use rivet_events::pipeline::PipelineDefinition;
use serde_json::{Map, Value};

use super::job::{History, JobState};
use super::pipeline::PipelineState;

/// An aggregate whose weight in a cache can be estimated.
pub trait Weigh {
    /// Size in bytes of the data whose size clients choose. Other fields do not count.
    fn weight(&self) -> usize;
}

pub(super) fn of_job(job: &JobState) -> usize {
    let (launch, history, result) = match job {
        JobState::Absent => return 0,
        JobState::Queued(queued) => (&queued.launch, &queued.history, None),
        JobState::Running(running) => (&running.launch, &running.history, None),
        JobState::Ended(ended) => (&ended.launch, &ended.history, ended.result.as_ref()),
    };
    of_object(&launch.parameters) + of_last_result(history) + result.map_or(0, of_result)
}

pub(super) fn of_pipeline(pipeline: &PipelineState) -> usize {
    pipeline.newest().map_or(0, |newest| of_definition(&newest.definition))
}

fn of_last_result(history: &History) -> usize {
    let report = history.last.as_ref().and_then(|attempt| attempt.report.as_ref());
    report.and_then(|report| report.result.as_ref()).map_or(0, of_result)
}

fn of_result(result: &JobResult) -> usize {
    let message = result.error_message.as_ref().map_or(0, String::len);
    result.output.as_ref().map_or(0, of_value) + message
}

fn of_definition(definition: &PipelineDefinition) -> usize {
    let env_vars = definition.config.env_vars.iter().map(|(name, value)| name.len() + value.len());
    let inputs = definition.inputs.values();
    let values = inputs.flat_map(|input| input.default.iter().chain(input.options.iter().flatten()));
    definition.script.len() + env_vars.sum::<usize>() + values.map(of_value).sum::<usize>()
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
