//! System tests: one binary, with one module per subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod archive;
mod bench;
mod big_lists;
mod cancel;
mod claims;
mod cli;
mod cli_client;
mod dashboard;
mod deadlines;
mod departures;
mod dialect_a;
mod dialect_b;
#[cfg(target_os = "linux")]
mod disk_full;
mod downtime;
mod errors;
mod faults;
mod feed;
mod feed_under_load;
mod groups;
mod hostile_scripts;
mod idempotency;
mod jobs;
mod lease_model;
mod leases;
mod live_logs;
mod log_conformance;
mod logs;
mod lost_answers;
mod metrics;
mod model;
mod next_claim;
mod openapi;
mod parked;
mod pipelines;
mod postgres_es;
mod queue;
mod read_models;
mod read_your_writes;
mod readme;
mod rebuild;
mod rebuild_requests;
mod recovery;
mod reference_runner;
mod replicas;
mod retries;
mod runners;
mod search;
mod stats;
mod sweeps;
mod time_travel;
mod versions;
mod webhooks;
