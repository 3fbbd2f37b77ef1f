//! System tests: one binary, a module a subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod claims;
mod cli;
mod dialect_a;
mod dialect_b;
mod errors;
mod hostile_scripts;
mod jobs;
mod lease_model;
mod log_conformance;
mod logs;
mod pipelines;
mod postgres_es;
mod read_models;
mod read_your_writes;
mod readme;
mod rebuild;
mod recovery;
mod runners;
