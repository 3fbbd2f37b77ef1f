//! The Rivet orchestrator: the write side of an event-sourced CI/CD service, its HTTP API and its command line.
//!
//! Layers depend on each other in one direction: `cli → app → {http, processes} → commands → domain`. `domain` holds
//! the rules and is pure; `commands` loads aggregates and appends their events; `http` and the background processes
//! (`processes`, `dispatch`, `webhooks`, `archive`) send commands and query the read models; `app` wires it all
//! together.

pub mod app;
mod archive;
mod bench;
mod cancelling;
pub mod cli;
pub mod clock;
mod commands;
pub mod config;
pub mod definition;
mod digest;
mod dispatch;
pub mod domain;
mod feed;
mod http;
mod liveness;
mod metrics;
mod processes;
mod random;
mod retry;
mod run_to_completion;
mod runner;
mod server;
mod server_url;
mod sse_reader;
mod stubs;
mod telemetry;
mod timeline;
mod webhooks;
