//! The Lua state that a job's script runs in: the libraries and the `pipeline` global of a definition, and the
//! modules that exist only here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlua::{Error, HookTriggers, Lua, LuaOptions, Result, StdLib, Table, VmState};
use rivet_events::id::JobId;

use super::reporter::Reporter;
use super::{containers, modules, process};
use crate::runner::container::Engine;

/// Globals of the base library that are no part of the pipeline language: scripts are read without them when they
/// are stored.
const REMOVED: [&str; 6] = ["load", "loadfile", "dofile", "collectgarbage", "warn", "require"];
/// Instructions between two looks at the cancellation.
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
    /// The names in it that are the job's own, rather than the machine's: these enter a container.
    pub(super) declared: RefCell<BTreeMap<String, String>>,
    /// The image that the commands of the current stage run in.
    pub(super) image: RefCell<Option<String>>,
}

/// Why a script was stopped.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the job is being cancelled")]
pub(super) struct Cancelled;

impl Job {
    /// Adds to the environment, over what is there.
    pub(super) fn declare(&self, variables: BTreeMap<String, String>) {
        self.environment.borrow_mut().extend(variables.clone());
        self.declared.borrow_mut().extend(variables);
    }

    /// Fails once the job is to stop.
    pub(super) fn check_cancelled(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::external(Cancelled)) } else { Ok(()) }
    }
}

/// A state for `job`, with `input` as the module of that name.
pub(super) fn new(job: &Rc<Job>, parameters: &serde_json::Map<String, serde_json::Value>) -> Result<Lua> {
    let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_remove(name)?;
    }
    globals.raw_get::<Table>("string")?.raw_remove("dump")?;
    let pipeline: Table =
        lua.load(include_str!("../../definition/pipeline.lua")).set_name("=builder").call(())?;
    globals.raw_set("pipeline", pipeline)?;
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
