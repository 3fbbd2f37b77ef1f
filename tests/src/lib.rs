//! The harness of the system tests: databases that clean up after themselves, servers in processes of their own,
//! and a client that speaks as Rivet's runners and CLI do.
//!
//! - [`postgres`]: a throwaway PostgreSQL; [`store`]: a database of either kind, fresh for each test;
//! - [`server`]: the real program over a store; [`address`]: where one listens after the other; [`local_server`]: one whose
//!   clock a test moves;
//! - [`runner`]: the reference runner of the program;
//! - [`client`]: the use cases over HTTP; [`sse`]: its streams; [`receiver`]: where webhooks go; [`lossy_proxy`]: a network
//!   that loses answers; [`stalling_proxy`]: one that falls silent;
//! - [`followers`]: readers of the feed who are cut off at random, and a load to follow;
//! - [`sample`]: pipelines and results to work with; [`history`], [`life`]: events of jobs, motley ones and plain ones; [`verify`]: what holds of any server;
//! - [`wait`]: the one way to wait for something.

#![expect(clippy::missing_panics_doc, reason = "a harness fails its test by panicking")]
#![expect(clippy::must_use_candidate, reason = "assertions are called for their effect too")]

use mimalloc::MiMalloc;

/// That of the program itself, so that figures are its figures.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

pub mod address;
pub mod client;
pub mod followers;
pub mod history;
pub mod life;
pub mod local_server;
pub mod lossy_proxy;
pub mod postgres;
pub mod receiver;
pub mod runner;
pub mod sample;
pub mod server;
pub mod sse;
pub mod stalling_proxy;
pub mod store;
pub mod verify;
pub mod wait;
