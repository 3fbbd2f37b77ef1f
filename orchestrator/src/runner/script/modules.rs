//! The small Lua modules of a running script: `log`, `input` and `env`; and `print`, which writes to the log.

use std::rc::Rc;

use mlua::{Function, Lua, Result, Table, Value, Variadic};
use rivet_events::job_log::LogLevel;
use serde_json::Map;

use super::state::Job;
use super::value;

/// `log.debug(message)`, `log.info`, `log.warning`, `log.error`: one entry each.
pub(super) fn log(lua: &Lua, job: &Rc<Job>) -> Result<Table> {
    let levels = [
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warning", LogLevel::Warning),
        ("error", LogLevel::Error),
    ];
    let module = lua.create_table()?;
    for (name, level) in levels {
        module.raw_set(name, write(lua, job, level)?)?;
    }
    Ok(module)
}

/// `print(…)`.
pub(super) fn print(lua: &Lua, job: &Rc<Job>) -> Result<Function> {
    write(lua, job, LogLevel::Info)
}

fn write(lua: &Lua, job: &Rc<Job>, level: LogLevel) -> Result<Function> {
    let job = Rc::clone(job);
    lua.create_function(move |_, values: Variadic<Value>| {
        job.check_cancelled()?;
        let words: Vec<String> = values.iter().map(shown).collect::<Result<_>>()?;
        job.reporter.log(level, &words.join("\t"));
        Ok(())
    })
}

/// A value as text. Output of commands need not be UTF-8, and is logged all the same.
fn shown(value: &Value) -> Result<String> {
    value.as_string().map_or_else(|| value.to_string(), |text| Ok(text.to_string_lossy()))
}

/// `input.get(name, default)` and `input.NAME`: the parameters of the job, with their types.
pub(super) fn input(lua: &Lua, parameters: &Map<String, serde_json::Value>) -> Result<Table> {
    let values = value::object_to_lua(lua, parameters)?;
    getter(lua, move |_, name| values.raw_get(name))
}

/// `env.get(name, default)` and `env.NAME`: the environment that commands run in.
pub(super) fn env(lua: &Lua, job: &Rc<Job>) -> Result<Table> {
    let job = Rc::clone(job);
    getter(lua, move |lua, name: String| match job.environment.borrow().get(&name) {
        Some(text) => lua.create_string(text).map(Value::String),
        None => Ok(Value::Nil),
    })
}

/// A module with the function `get(name, default)` and with fields by name; both look values up with `find`.
fn getter(lua: &Lua, find: impl Fn(&Lua, String) -> Result<Value> + 'static) -> Result<Table> {
    let find = Rc::new(find);
    let module = lua.create_table()?;
    let named = Rc::clone(&find);
    module.raw_set(
        "get",
        lua.create_function(move |lua, (name, default): (String, Value)| {
            let found = named(lua, name)?;
            Ok(if found.is_nil() { default } else { found })
        })?,
    )?;
    let fields = lua.create_table()?;
    fields
        .raw_set("__index", lua.create_function(move |lua, (_, name): (Table, String)| find(lua, name))?)?;
    module.set_metatable(Some(fields))?;
    Ok(module)
}
