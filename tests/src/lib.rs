//! The harness of the system tests: databases that clean up after themselves, servers in processes of their own,
//! and a client that speaks as Rivet's runners and CLI do.
//!
//! - [`postgres`]: a throwaway PostgreSQL; [`store`]: a database of either kind, fresh for each test;
//! - [`server`]: the real program over a store; [`replicas`]: two of them over one PostgreSQL; [`address`]: an address
//!   for servers that run one after the other; [`local_server`]: a server in the process of the test, whose clock the
//!   test sets;
//! - [`program`]: the other commands of the program; [`runner`]: its reference runner; [`process`]: the log and the read
//!   models of a process, without HTTP;
//! - [`client`]: the use cases over HTTP; [`sse`]: its event streams; [`receiver`]: a receiver of webhooks;
//! - [`lossy_proxy`]: a proxy that loses answers; [`stalling_proxy`]: a proxy that falls silent; [`splitting_proxy`]: a
//!   proxy that reads at another replica than it writes to;
//! - [`followers`]: readers of the feed that are cut off at random, and a load to follow;
//! - [`sample`]: pipelines, results and log entries; [`history`]: generated events of jobs with nearly
//!   everything that can happen; [`life`]: the ordinary life of a job; [`dice`]: random numbers; [`verify`]: checks that hold for any server;
//! - [`wait`]: the only way to wait for something.

#![expect(clippy::missing_panics_doc, reason = "a harness fails its test by panicking")]
#![expect(clippy::must_use_candidate, reason = "assertions are called for their effect too")]

use mimalloc::MiMalloc;

/// The allocator of the program itself, so that benchmarks measure the same.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

pub mod address;
pub mod client;
pub mod dice;
pub mod followers;
pub mod history;
pub mod life;
pub mod local_server;
pub mod lossy_proxy;
pub mod postgres;
pub mod process;
pub mod program;
pub mod receiver;
pub mod replicas;
pub mod runner;
pub mod sample;
pub mod server;
pub mod splitting_proxy;
pub mod sse;
pub mod stalling_proxy;
pub mod store;
pub mod verify;
pub mod wait;
