//! The Rivet orchestrator: rules, commands, processes, HTTP and CLI.

pub mod domain;
