use std::collections::BTreeSet;

use mlua::{Lua, Table};

use super::*;

/// The functions that a chunk leaves in the global table `module`.
fn functions(lua: &Lua, module: &str) -> BTreeSet<String> {
    let table: Table = lua.globals().get(module).unwrap();
    let pairs = table.pairs::<String, mlua::Value>().map(Result::unwrap);
    pairs.filter(|(_, value)| value.is_function()).map(|(name, _)| name).collect()
}

#[test]
fn a_stub_is_found_with_and_without_its_suffix() {
    assert_eq!(find("log").map(|stub| stub.name), Some("log.lua"));
    assert_eq!(find("log.lua"), find("log"));
    assert_eq!(find("log.lua.lua"), None);
    assert_eq!(find("io"), None);
    assert_eq!(find(""), None);
}

#[test]
fn every_stub_is_lua_that_declares_its_module() {
    for stub in all() {
        let lua = Lua::new();
        lua.load(stub.content).exec().unwrap();
        let module = stub.name.strip_suffix(".lua").unwrap();
        assert!(!functions(&lua, module).is_empty(), "{}", stub.name);
        assert!(stub.content.starts_with("---@meta\n"), "{}", stub.name);
    }
}

#[test]
fn the_pipeline_stub_declares_what_the_module_has() {
    let lua = Lua::new();
    lua.load(find("pipeline").unwrap().content).exec().unwrap();
    let declared = functions(&lua, "pipeline");

    let module: Table = lua.load(include_str!("../definition/pipeline.lua")).eval().unwrap();
    lua.globals().set("pipeline", module).unwrap();
    assert_eq!(declared, functions(&lua, "pipeline"));
}
