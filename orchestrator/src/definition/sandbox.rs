//! The sandboxed Lua state in which a script is evaluated: only pure functions, limits on memory and processor time,
//! and no access to anything outside.

use std::borrow::Cow;
use std::time::Duration;

use mlua::{
    ChunkMode, Error, HookTriggers, Lua, LuaOptions, MultiValue, Result, StdLib, Table, Value, VmState,
};
use rustix::time::{ClockId, clock_gettime};

use super::error::{DefinitionError, Limit};

/// Memory of the Lua state, in bytes.
const MEMORY_LIMIT: usize = 64 << 20;
/// After this much processor time a script is stopped, with an error that names its line. What Lua cannot interrupt,
/// such as a pattern match, the kernel stops a little later, without a line.
const TIME_LIMIT: Duration = Duration::from_millis(800);
/// Lua instructions between two checks of the processor time.
const INSTRUCTIONS_PER_CHECK: u32 = 100_000;
/// Longest message of a script's error; longer ones are truncated.
const MAX_MESSAGE_CHARS: usize = 1_000;
/// Names the script in Lua's messages: `pipeline:12: …`.
pub(crate) const CHUNK_NAME: &str = "=pipeline";

/// Globals of the base library that load code, write to stderr, or control the garbage collector.
const REMOVED: [&str; 6] = ["load", "loadfile", "dofile", "collectgarbage", "warn", "require"];
/// Globals that only a runner provides.
const RUNNER_MODULES: [&str; 5] = ["log", "input", "process", "container", "env"];

/// A Lua error that this module raises, to be told from the script's own errors.
#[derive(Debug, Clone, thiserror::Error)]
enum Cause {
    #[error("`{module}` exists only while a job runs")]
    RunnerModule { module: &'static str, line: Option<u32> },
    #[error("out of processor time")]
    OutOfTime { line: Option<u32> },
}

/// Runs `script` in a new state, and calls `read` with what it returns, while the state still exists.
pub(super) fn run<T>(
    script: &str,
    read: impl FnOnce(Value) -> std::result::Result<T, DefinitionError>,
) -> std::result::Result<T, DefinitionError> {
    let lua = new_state()?;
    let chunk = lua.load(script).set_name(CHUNK_NAME).set_mode(ChunkMode::Text).into_function()?;
    read(chunk.call(())?)
}

/// A state with what every script can use, both when its definition is read and when a runner runs it: the pure
/// libraries, and the global `pipeline`.
pub(crate) fn language() -> Result<Lua> {
    let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_remove(name)?;
    }
    globals.raw_get::<Table>("string")?.raw_remove("dump")?;
    let pipeline: Table = lua.load(include_str!("pipeline.lua")).set_name("=builder").call(())?;
    globals.raw_set("pipeline", pipeline)?;
    Ok(lua)
}

/// A state for reading a definition: refuses the modules of the runner, and limits memory and processor time.
fn new_state() -> Result<Lua> {
    let lua = language()?;
    let globals = lua.globals();
    globals.raw_set("print", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    for module in RUNNER_MODULES {
        globals.raw_set(module, runner_module(&lua, module)?)?;
    }

    lua.set_memory_limit(MEMORY_LIMIT)?;
    let start = processor_time();
    let every = HookTriggers::new().every_nth_instruction(INSTRUCTIONS_PER_CHECK);
    lua.set_global_hook(every, move |lua, _| {
        if processor_time().saturating_sub(start) < TIME_LIMIT {
            return Ok(VmState::Continue);
        }
        Err(Error::external(Cause::OutOfTime { line: line(lua, 0) }))
    })?;
    Ok(lua)
}

/// The processor time that this thread, the only one of its process, has used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("invariant: processor time is not negative")
}

/// A table that refuses every use. At top level, a script can only refer to it, so that a stage captures it.
fn runner_module(lua: &Lua, module: &'static str) -> Result<Table> {
    let refuse = lua.create_function(move |lua, _: MultiValue| -> Result<()> {
        Err(Error::external(Cause::RunnerModule { module, line: line(lua, 1) }))
    })?;
    let refusal = lua.create_table()?;
    for event in ["__index", "__newindex", "__call"] {
        refusal.raw_set(event, &refuse)?;
    }
    refusal.raw_set("__metatable", false)?;
    let guard = lua.create_table()?;
    guard.set_metatable(Some(refusal))?;
    Ok(guard)
}

/// The line that the function at `level` of the call stack is in.
fn line(lua: &Lua, level: usize) -> Option<u32> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's path has too narrow a lifetime"
    )]
    let line = lua.inspect_stack(level, |frame| frame.current_line())??;
    u32::try_from(line).ok()
}

impl From<Error> for DefinitionError {
    fn from(error: Error) -> Self {
        if let Some(cause) = error.chain().find_map(|cause| cause.downcast_ref::<Cause>()) {
            return match cause.clone() {
                Cause::RunnerModule { module, line } => {
                    Self::RunnerModule { module: module.to_owned(), line }
                }
                Cause::OutOfTime { line } => Self::Limit { limit: Limit::Time, line },
            };
        }
        if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Error::MemoryError(_)))) {
            return Limit::Memory.into();
        }
        let text = if let Error::SyntaxError { message, .. } | Error::RuntimeError(message) = error {
            message
        } else {
            error.to_string()
        };
        let (line, message) = split_place(without_traceback(&text));
        // Lua has no error code for a stack overflow. A script that raises this text itself is refused just the same.
        if message.ends_with("stack overflow") || message.starts_with("stack overflow") {
            return Self::Limit { limit: Limit::Recursion, line };
        }
        // The errors of `string.rep` and `table.concat` for results so large that they do not even try to allocate
        // them.
        if message.ends_with("resulting string too large") || message.ends_with("string too long") {
            return Self::Limit { limit: Limit::Memory, line };
        }
        let message = raised(message);
        Self::Script { message: message.chars().take(MAX_MESSAGE_CHARS).collect(), line }
    }
}

fn without_traceback(text: &str) -> &str {
    text.split_once("\nstack traceback:").map_or(text, |(message, _)| message)
}

/// The message of an error, also where what was raised is no text: Lua writes such a value as its type and address.
fn raised(message: &str) -> Cow<'_, str> {
    match message.split_once(": 0x") {
        Some((kind @ ("table" | "function" | "thread" | "userdata"), _)) => {
            format!("the script raised a {kind}").into()
        }
        _ if message == "nil" => "the script raised nil".into(),
        _ => message.into(),
    }
}

/// Splits `pipeline:12: message` into the line and the message.
fn split_place(text: &str) -> (Option<u32>, &str) {
    let place = || {
        let (line, message) = text.strip_prefix("pipeline:")?.split_once(": ")?;
        Some((line.parse().ok()?, message))
    };
    place().map_or((None, text), |(line, message)| (Some(line), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_for_error(script: &str) -> DefinitionError {
        run(script, |_| Ok(())).unwrap_err()
    }

    #[test]
    fn nothing_in_the_state_reaches_out_of_it() {
        let script = "
            local found = {}
            for _, name in ipairs { 'io', 'os', 'debug', 'package', 'require', 'load', 'loadstring', 'loadfile',
                                    'dofile', 'collectgarbage', 'warn', 'utf8' } do
                if _G[name] ~= nil then found[#found + 1] = name end
            end
            return table.concat(found, ' ') .. ' ' .. tostring(string.dump)";
        let found = run(script, |value| Ok(value.to_string()?)).unwrap();
        assert_eq!(found, "utf8 nil");
    }

    #[test]
    fn bytecode_is_not_run() {
        let error = run_for_error("\x1bLua");
        assert!(matches!(error, DefinitionError::Script { .. }), "{error}");
    }

    #[test]
    fn an_error_tells_its_line_and_message() {
        for (script, text) in [
            ("local x =\n\n", "line 3: unexpected symbol near <eof>"),
            ("\nlocal x = nil\nx.y = 1", "line 3: attempt to index a nil value (local 'x')"),
            ("\nerror('no such branch')", "line 2: no such branch"),
            ("error('bare', 0)", "bare"),
            ("error({})", "the script raised a table"),
            ("error(print)", "the script raised a function"),
            ("error(nil)", "the script raised nil"),
            ("error(setmetatable({}, { __tostring = function() return 'told' end }))", "told"),
            ("pipeline.builder():input()", "line 1: builder:input takes a name and a table"),
        ] {
            assert_eq!(run_for_error(script).to_string(), text);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let error = run_for_error("error(('x'):rep(100000))");
        assert!(
            matches!(error, DefinitionError::Script { message, .. } if message.len() == MAX_MESSAGE_CHARS)
        );
    }

    #[test]
    fn a_module_of_the_runner_is_refused_by_name_wherever_it_is_used() {
        for (script, used) in [
            ("\nlog.info('x')", ("log", 2)),
            ("\n\nlocal version = input.version", ("input", 3)),
            ("process.run = print", ("process", 1)),
            ("local function f()\ncontainer('alpine')\nend f()", ("container", 2)),
            ("coroutine.wrap(function() return env.get('HOME') end)()", ("env", 1)),
        ] {
            let error = run_for_error(script);
            let DefinitionError::RunnerModule { module, line } = error else { panic!("{error}") };
            assert_eq!((module.as_str(), line), (used.0, Some(used.1)), "{script}");
        }
    }

    #[test]
    fn a_module_of_the_runner_may_be_captured_for_a_stage() {
        assert!(run("local log = log; return function() log.info('x') end", |_| Ok(())).is_ok());
    }

    #[test]
    fn an_endless_loop_is_stopped_with_its_line() {
        let error = run_for_error("local n = 0\nwhile true do n = n + 1 end");
        assert_eq!(error.to_string(), "line 2: the script took too long to read");
    }

    #[test]
    fn printing_at_top_level_has_no_effect() {
        assert!(run("print('x', nil, {})", |_| Ok(())).is_ok());
    }
}
