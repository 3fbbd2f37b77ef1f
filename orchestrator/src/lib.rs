//! The Rivet orchestrator: rules, commands, processes, HTTP and CLI.

pub mod clock;
pub mod commands;
pub mod domain;
