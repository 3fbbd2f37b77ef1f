//! Evaluates a pipeline's script and runs its stages, in order, up to the first that fails.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mlua::{ChunkMode, Function, Result, Table, Value};
use rivet_events::job::JobResult;
use rivet_events::job_log::LogLevel;
use serde_json::Map;

use super::failure::{exit_code, explanation, in_stage};
use super::reporter::Reporter;
use super::state::{self, Job};
use super::value;
use crate::definition::sandbox;
use crate::runner::execution::{failed, succeeded};
use crate::runner::job_process::JobOrder;

/// Variables that describe the machine: an image has its own.
const OF_THE_MACHINE: [&str; 3] = ["PATH", "LANG", "HOME"];
/// Largest output of the stages that a result keeps, in bytes of JSON; a larger one is left out.
const MAX_OUTPUT_BYTES: usize = 1 << 20;
/// Longest error text of a result, in bytes; the log has the whole text.
const MAX_ERROR_BYTES: usize = 1 << 14;

/// Runs the ordered job to its end.
pub(super) fn run(order: JobOrder, reporter: Reporter, cancelled: Arc<AtomicBool>) -> JobResult {
    let JobOrder { execution, workspace, engine } = order;
    let environment: BTreeMap<String, String> = std::env::vars_os().filter_map(text_pair).collect();
    let mut container_environment = environment.clone();
    container_environment.retain(|name, _| !OF_THE_MACHINE.contains(&name.as_str()));
    let job = Rc::new(Job {
        id: execution.job_id,
        workspace,
        engine,
        reporter,
        cancelled,
        environment: RefCell::new(environment),
        container_environment: RefCell::new(container_environment),
        image: RefCell::default(),
    });
    let run = || {
        let lua = state::new(&job, &execution.parameters)?;
        let declared = execution.env_vars.is_some();
        job.declare(execution.env_vars.unwrap_or_default());
        let chunk =
            lua.load(&execution.pipeline_source).set_name(sandbox::CHUNK_NAME).set_mode(ChunkMode::Text);
        // A script that returns nothing has no stages: running it was the whole job.
        match chunk.call::<Option<Table>>(())? {
            Some(definition) => {
                if !declared {
                    declare_env_vars(&job, &definition)?;
                }
                run_stages(&job, &definition)
            }
            None => Ok(Map::new()),
        }
    };
    match run() {
        Ok(output) => succeeded(kept(&job, output)),
        Err(error) => {
            let mut why = explanation(&error);
            job.reporter.log(LogLevel::Error, &why);
            why.truncate(why.floor_char_boundary(MAX_ERROR_BYTES));
            failed(exit_code(&error), why)
        }
    }
}

/// The stages' output for the result; `None` where there is none, or too much.
fn kept(job: &Job, output: Map<String, serde_json::Value>) -> Option<serde_json::Value> {
    if output.is_empty() {
        return None;
    }
    let output = serde_json::Value::Object(output);
    if output.to_string().len() > MAX_OUTPUT_BYTES {
        job.reporter.log(LogLevel::Warning, "what the stages returned is more than 1 MiB, and is not kept");
        return None;
    }
    Some(output)
}

/// Adds the variables that the script's own `config` has to the environment.
fn declare_env_vars(job: &Job, definition: &Table) -> Result<()> {
    if let Some(config) = definition.get::<Option<Table>>("config")? {
        job.declare(config.get::<Option<_>>("env_vars")?.unwrap_or_default());
    }
    Ok(())
}

/// Runs the stages, and returns what they returned, by the name of the stage.
fn run_stages(job: &Job, definition: &Table) -> Result<Map<String, serde_json::Value>> {
    let stages: Table = definition.get("stages")?;
    let mut output = Map::new();
    for (number, stage) in (1..).zip(stages.sequence_values::<Table>()) {
        let stage = stage?;
        let name: Option<String> = stage.get("name")?;
        let name = name.unwrap_or_else(|| format!("stage {number}"));
        let returned = run_stage(job, &name, &stage).map_err(|error| in_stage(&name, error))?;
        if !returned.is_null() {
            output.insert(key(&output, &name), returned);
        }
    }
    Ok(output)
}

/// The key under which the output of a stage is kept: its name, and a number if an earlier stage has that name.
fn key(output: &Map<String, serde_json::Value>, name: &str) -> String {
    let numbered = (2..).map(|number| format!("{name} {number}"));
    let mut keys = std::iter::once(name.to_owned()).chain(numbered);
    keys.find(|key| !output.contains_key(key)).expect("invariant: there are more numbers than stages")
}

/// Runs a stage, and returns what it returned; null if that is nothing.
fn run_stage(job: &Job, name: &str, stage: &Table) -> Result<serde_json::Value> {
    job.check_cancelled()?;
    let image: Option<String> = stage.get("container")?;
    job.image.replace(image);
    let condition: Option<Function> = stage.get("condition")?;
    if let Some(condition) = condition
        && !condition.call::<bool>(())?
    {
        job.reporter.log(LogLevel::Info, &format!("stage {name}: skipped by its condition"));
        return Ok(serde_json::Value::Null);
    }
    job.reporter.log(LogLevel::Info, &format!("stage {name}"));
    let script: Function = stage.get("script")?;
    let returned = value::to_json(&script.call::<Value>(())?);
    if returned.is_none() {
        let message = format!("stage {name}: what it returned cannot be written as JSON, and is not kept");
        job.reporter.log(LogLevel::Warning, &message);
    }
    Ok(returned.unwrap_or_default())
}

fn text_pair((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}
