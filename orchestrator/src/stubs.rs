//! Lua stubs for editors: they declare what a pipeline script may call, with the annotations of LuaLS. The stubs
//! specify these modules; the runner implements them, and `definition` implements `pipeline`.
//!
//! To add a module: write `stubs/NAME.lua`, add it to [`all`], and have `definition::sandbox` refuse its use
//! at top level.

/// The stub of one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stub {
    /// Name of the file, such as `log.lua`.
    pub name: &'static str,
    /// The Lua text.
    pub content: &'static str,
}

/// Every stub, by name.
#[must_use]
pub(crate) fn all() -> &'static [Stub] {
    &[
        Stub { name: "container.lua", content: include_str!("stubs/container.lua") },
        Stub { name: "env.lua", content: include_str!("stubs/env.lua") },
        Stub { name: "input.lua", content: include_str!("stubs/input.lua") },
        Stub { name: "log.lua", content: include_str!("stubs/log.lua") },
        Stub { name: "pipeline.lua", content: include_str!("stubs/pipeline.lua") },
        Stub { name: "process.lua", content: include_str!("stubs/process.lua") },
    ]
}

/// The stub of that name, with or without `.lua`.
#[must_use]
pub(crate) fn find(name: &str) -> Option<&'static Stub> {
    let module = name.strip_suffix(".lua").unwrap_or(name);
    all().iter().find(|stub| stub.name.strip_suffix(".lua") == Some(module))
}

#[cfg(test)]
mod tests;
