//! Three replicas over one PostgreSQL under a load of whole lifecycles, while the replicas are killed one after the
//! other, and PostgreSQL twice: is everything there that was acknowledged, was every job held by one runner at a
//! time, did all jobs end?
//!
//! `cargo bench -p rivet-tests --bench replicas [-- SECONDS [SEED]]`: by default 120 seconds, and a random seed. The
//! same seed repeats which replica is killed when, and how PostgreSQL is stopped.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

#[path = "replicas/fleet.rs"]
mod fleet;
#[path = "replicas/journal.rs"]
mod journal;
#[path = "replicas/load.rs"]
mod load;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_tests::dice::Dice;
use rivet_tests::program;
use rivet_tests::sample::new_pipeline;
use rivet_tests::store::{Store, StoreKind};

use fleet::Fleet;
use journal::Journal;

const REPLICAS: usize = 3;
/// Time between two kills of a replica.
const KILL_EVERY: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let seconds: u64 = numbers.next().unwrap_or(120);
    let seed = numbers.next().unwrap_or_else(Dice::any_seed);
    println!("{REPLICAS} replicas for {seconds} s, seed {seed}");

    let store = Store::durable(StoreKind::Postgres).await;
    let fleet = Arc::new(Fleet::start(&store, REPLICAS).await);
    let pipeline = new_pipeline(&fleet.client(0)).await;
    let journal = Arc::new(Journal::default());
    let load = load::begin(&fleet, &pipeline, &journal);

    let started = Instant::now();
    let duration = Duration::from_secs(seconds);
    let outages = break_things(&store, &fleet, &mut Dice::new(seed), duration).await;
    load.stop_launching();
    let drained = Instant::now();
    load.wait_until_all_ended(&journal).await;
    println!("{}", journal.summary(started.elapsed()));
    println!("all jobs ended {:.1?} after the last launch", drained.elapsed());
    outages.print();

    journal.assert_kept(&fleet.client(0)).await;
    println!("nothing that was acknowledged is lost; every attempt had one holder, every job one end");
    fleet.terminate().await;
    let verified =
        Command::new(program::path()).args(["verify", "--database-url", store.url()]).output().unwrap();
    println!("verify: {}, {}", verified.status, String::from_utf8_lossy(&verified.stdout).trim());
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// How long each interruption lasted.
#[derive(Default)]
struct Outages {
    /// From the kill of a replica until the survivors answered a read with what was written after it.
    takeovers: Vec<Duration>,
    /// From the return of PostgreSQL until every replica acknowledged a write again.
    returns: Vec<Duration>,
}

impl Outages {
    fn print(mut self) {
        self.takeovers.sort_unstable();
        let count = self.takeovers.len();
        println!(
            "{count} kills of a replica; fresh reads on the survivors after: median {:.1?}, p90 {:.1?}, max {:.1?}",
            self.takeovers[count / 2],
            self.takeovers[count * 9 / 10],
            self.takeovers[count - 1],
        );
        println!(
            "PostgreSQL went {} times; writes again after its return: {:.1?}",
            self.returns.len(),
            self.returns
        );
    }
}

/// Kills one replica after the other, and PostgreSQL after a third and two thirds of the time.
async fn break_things(store: &Store, fleet: &Fleet, dice: &mut Dice, duration: Duration) -> Outages {
    let started = Instant::now();
    let mut outages = Outages::default();
    let mut next = KILL_EVERY;
    while next < duration {
        tokio::time::sleep(next.saturating_sub(started.elapsed())).await;
        next += KILL_EVERY;
        let third = duration / 3 * (u32::try_from(outages.returns.len()).unwrap() + 1);
        if outages.returns.len() < 2 && started.elapsed() >= third {
            let cluster = store.cluster();
            if dice.roll(2) == 0 {
                cluster.kill();
            } else {
                cluster.stop();
            }
            tokio::time::sleep(Duration::from_millis(500 + dice.roll(2_500))).await;
            cluster.resume().await;
            let resumed = Instant::now();
            fleet.wait_until_all_write().await;
            outages.returns.push(resumed.elapsed());
        } else {
            let victim = usize::try_from(dice.roll(REPLICAS as u64)).unwrap();
            outages.takeovers.push(fleet.kill(victim).await);
            fleet.restart(store, victim).await;
        }
    }
    outages
}
