//! The Lua state that a job's script runs in: the language of pipeline definitions, plus the modules that exist only
//! while a job runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlua::{Error, HookTriggers, Lua, Result, VmState};
use rivet_events::id::JobId;

use super::reporter::Reporter;
use super::{containers, modules, process};
use crate::definition::sandbox;
use crate::runner::container::Engine;

/// Lua instructions between two checks for cancellation.
const INSTRUCTIONS_PER_CHECK: u32 = 100_000;

/// What the modules of one job share.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) workspace: PathBuf,
    pub(super) engine: Option<Engine>,
    pub(super) reporter: Reporter,
    /// Set when the runner wants the job to stop.
    pub(super) cancelled: Arc<AtomicBool>,
    /// What commands find in their environment, and `env.get` answers.
    pub(super) environment: RefCell<BTreeMap<String, String>>,
    /// What commands in containers find in theirs, beside what the image sets.
    pub(super) container_environment: RefCell<BTreeMap<String, String>>,
    /// The container image that the commands of the current stage run in, if it has one.
    pub(super) image: RefCell<Option<String>>,
}

/// Why a script was stopped.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the job is being cancelled")]
pub(super) struct Cancelled;

impl Job {
    /// Adds variables to the environment, and overrides those that are there.
    pub(super) fn declare(&self, variables: BTreeMap<String, String>) {
        self.environment.borrow_mut().extend(variables.clone());
        self.container_environment.borrow_mut().extend(variables);
    }

    /// Fails once the job has been cancelled.
    pub(super) fn check_cancelled(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::external(Cancelled)) } else { Ok(()) }
    }
}

/// A Lua state for `job`, in which `input` has these parameters.
pub(super) fn new(job: &Rc<Job>, parameters: &serde_json::Map<String, serde_json::Value>) -> Result<Lua> {
    let lua = sandbox::language()?;
    let globals = lua.globals();
    globals.raw_set("print", modules::print(&lua, job)?)?;
    globals.raw_set("log", modules::log(&lua, job)?)?;
    globals.raw_set("input", modules::input(&lua, parameters)?)?;
    globals.raw_set("env", modules::env(&lua, job)?)?;
    globals.raw_set("process", process::module(&lua, job)?)?;
    globals.raw_set("container", containers::module(&lua, job)?)?;

    let cancelled = Rc::clone(job);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS_PER_CHECK), move |_, _| {
        cancelled.check_cancelled().map(|()| VmState::Continue)
    })?;
    Ok(lua)
}
