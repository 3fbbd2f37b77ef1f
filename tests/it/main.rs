<<<<<<< HEAD
//! System tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod log_conformance;
mod postgres_es;
=======
//! System tests: one binary, a module a subject.

mod architecture;
mod claims;
mod dialect_a;
mod dialect_b;
mod errors;
mod hostile_scripts;
mod jobs;
mod logs;
mod pipelines;
mod read_your_writes;
mod recovery;
mod runners;
>>>>>>> harness
