//! The harness of the system tests: databases that clean up after themselves, servers in this process and in
//! processes of their own, and a client that speaks as Rivet's runners and CLI do.
//!
//! - [`postgres`]: a throwaway PostgreSQL; [`store`]: a database of either kind, fresh for each test;
//! - [`wait`]: the one way to wait for something.

#![expect(clippy::missing_panics_doc, reason = "a harness fails its test by panicking")]

pub mod postgres;
pub mod store;
pub mod wait;
