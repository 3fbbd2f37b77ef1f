//! Random commands against the server and against a small model of it: every answer, and every read after it, must be
//! the same.
//!
//! `RIVET_MODEL_CASES` sets the number of sequences, and `RIVET_MODEL_SEED` replays the sequences of a failed run.

mod job;
mod operation;
mod world;

use std::cell::Cell;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::test_runner::{Config as Runs, RngSeed, TestCaseError, TestRunner};
use rivet_orchestrator::clock::{Clock, ManualClock, SystemClock};
use rivet_orchestrator::config::Config;
use rivet_tests::local_server::LocalServer;
use rivet_tests::on_both_stores;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::verify;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use operation::any_operation;
use world::World;

/// Number of sequences.
const CASES: u32 = 24;
/// Maximum number of commands in a sequence.
const LENGTH: usize = 60;
/// How much time passes in one step: longer than the backoff of a first retry.
const WAIT: Duration = Duration::from_secs(2);
/// Maximum number of such steps in a sequence, so that no runner is silent for too long.
const WAITS: u32 = 20;
/// One pipeline for each `max_retries`, from 0.
const PIPELINES: usize = 2;
const RUNNERS: usize = 3;

on_both_stores! { the_server_answers_as_the_model_does }

async fn the_server_answers_as_the_model_does(kind: StoreKind) {
    let store = Store::create(kind).await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    // Leases and deadlines are never checked: earlier sequences are over, whatever has become of their jobs.
    let mut config = Config::for_tests(store.url());
    config.leases.sweep_interval = Duration::from_hours(1);
    let server = LocalServer::start(config, clock.clone()).await;
    let api = server.client();
    let seed = number("RIVET_MODEL_SEED").unwrap_or_else(|| RandomState::new().hash_one(()));
    let cases = number("RIVET_MODEL_CASES").map_or(CASES, |cases| cases.try_into().unwrap());
    let mut runs = TestRunner::new(Runs {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Runs::with_cases(cases)
    });
    let (case, handle) = (Cell::new(0), Handle::current());
    let outcome = block_in_place(|| {
        runs.run(&vec(any_operation(), 1..LENGTH), |operations| {
            case.set(case.get() + 1);
            handle.block_on(async {
                let mut world = World::create(&api, &clock, case.get()).await;
                for operation in &operations {
                    let same = world.step(operation).await;
                    same.map_err(|why| TestCaseError::fail(format!("{operation:?}: {why}")))?;
                }
                world.compare_logs().await.map_err(TestCaseError::fail)
            })
        })
    });
    if let Err(failure) = outcome {
        panic!("RIVET_MODEL_SEED={seed}: {failure}");
    }
    verify(&api, &store).await;
    server.stop().await;
}

fn number(name: &str) -> Option<u64> {
    env::var_os(name).map(|text| text.to_string_lossy().parse().expect("it is a number"))
}
