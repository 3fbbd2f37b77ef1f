//! System tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod log_conformance;
mod postgres_es;
mod read_models;
mod rebuild;
