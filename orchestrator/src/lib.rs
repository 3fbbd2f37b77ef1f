//! The Rivet orchestrator: rules, commands, processes, HTTP and CLI.

pub mod clock;
pub mod commands;
pub mod definition;
pub mod domain;
pub mod stubs;
