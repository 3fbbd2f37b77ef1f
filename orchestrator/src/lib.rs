//! The Rivet orchestrator: rules, commands, processes, HTTP and CLI.

pub mod app;
mod archive;
pub mod bench;
mod chance;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod definition;
mod digest;
mod dispatch;
pub mod domain;
mod feed;
mod http;
mod leading;
mod liveness;
pub mod metrics;
mod processes;
pub mod runner;
mod seen_through;
mod server;
pub mod stubs;
pub mod telemetry;
mod timeline;
mod webhooks;
