//! Two replicas behind nginx, configured by `deploy/nginx.conf`, are restarted one after the other under a steady
//! load: does any client notice?
//!
//! `cargo bench -p rivet-tests --bench rolling_restart [-- ROUNDS]`: by default two rounds. Needs nginx on the `PATH`
//! or where Debian installs it (`apt-get install nginx-light`). It fails if any answer differs from that of a server
//! that is not restarted.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

#[path = "rolling_restart/balancer.rs"]
mod balancer;
#[path = "rolling_restart/load.rs"]
mod load;

use std::time::{Duration, Instant};

use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::verify;

use balancer::Balancer;
use load::Load;

/// The flags of `docker-compose.yml`, and the program's defaults where the test harness has others.
const FLAGS: [&str; 4] = ["--drain-delay", "5s", "--read-wait", "2s"];
/// How long the load runs before the first restart and after the last one.
const REST: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let rounds: usize = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(2);
    let store = Store::durable(StoreKind::Postgres).await;
    let mut replicas = [Server::start(&store, &FLAGS).await, Server::start(&store, &FLAGS).await];
    let balancer = Balancer::start(replicas.each_ref().map(Server::address)).await;
    let load = Load::begin(balancer.address()).await;
    let began = Instant::now();
    tokio::time::sleep(REST).await;
    for round in 1..=rounds {
        for (number, replica) in (1..).zip(&mut replicas) {
            let restarting = Instant::now();
            let address = replica.address().to_owned();
            restart(replica, &address, &store).await;
            println!("round {round}: replica {number} restarted in {:.1?}", restarting.elapsed());
        }
    }
    tokio::time::sleep(REST).await;
    let counts = load.end().await;
    println!(
        "{} requests in {:.1?}; slowest answer {:.0?}",
        counts.requests,
        began.elapsed(),
        counts.slowest
    );
    println!("{} answers marked as stale; {} failed requests", counts.stale, counts.failures.len());
    for failure in &counts.failures {
        println!("  {failure}");
    }
    balancer.print_complaints();
    verify(&replicas[0].client(), &store).await;
    assert!(counts.failures.is_empty(), "clients noticed");
}

/// Stops a replica, waits until it has ended, and starts its successor at the same address.
async fn restart(replica: &mut Server, address: &str, store: &Store) {
    let status = replica.end().await;
    assert!(status.success(), "{status}");
    *replica = Server::start_at(address, store, &FLAGS).await;
}
