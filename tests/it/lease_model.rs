//! The lease protocol, searched exhaustively: every order in which two runners, a network that delays, repeats and
//! loses messages, two servers with different clocks, a sweeper and a cancelling client can act on one job.
//!
//! The model's server uses the real `decide` and `evolve` of the job. Jobs share nothing, so one job is enough. A
//! second search without the comparison of leases must find a violation, which shows that the model can fail.

mod job;
mod world;

use rivet_events::job::JobStatus;
use rivet_orchestrator::domain::job::{JobState, ResultDigest};
use stateright::{Checker, HasDiscoveries, Model, Path, Property};
use world::{Action, Client, Guard, Phase, World};

/// The bounds of a search.
#[derive(Clone, Copy)]
struct LeaseProtocol {
    runners: [Client; 2],
    guard: Guard,
    max_retries: u32,
    retry_on_runner_lost: bool,
    /// Whether the server ends a run after [`job::RUN_TIMEOUT`].
    run_timeout: bool,
    /// Seconds by which the clock of the sweeping server is ahead of the one that the runners talk to.
    sweeper_ahead: i64,
    /// Maximum number of minutes that pass.
    minutes: i64,
    /// Maximum number of claims that each runner requests.
    requests: [u8; 2],
    /// Maximum number of cancel requests.
    cancels: u8,
}

const FENCING: LeaseProtocol = LeaseProtocol {
    runners: [Client::Fencing, Client::Fencing],
    guard: Guard::LeasesCompared,
    max_retries: 1,
    retry_on_runner_lost: false,
    run_timeout: true,
    sweeper_ahead: 10,
    minutes: 3,
    requests: [1, 2],
    cancels: 1,
};

const LEGACY: LeaseProtocol =
    LeaseProtocol { runners: [Client::Legacy, Client::Fencing], run_timeout: false, ..FENCING };

const STALE_WRITE: &str = "nobody but the holder writes";

impl Model for LeaseProtocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::with_launched_job(self.max_retries, self.retry_on_runner_lost)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.minute < self.minutes && world.end().is_none() {
            actions.push(Action::Tick);
        }
        if world.cancels < self.cancels {
            actions.push(Action::Cancel);
        }
        actions.push(Action::Sweep);
        for (number, runner) in world.runners.iter().enumerate() {
            match runner.phase {
                Phase::Idle if runner.requests < self.requests[number] => {
                    actions.push(Action::Claim { runner: number });
                }
                Phase::Idle => {}
                Phase::Claiming => actions.push(Action::GiveUp { runner: number }),
                Phase::Working { .. } => actions.extend([
                    Action::Heartbeat { runner: number },
                    Action::Start { runner: number },
                    Action::Report { runner: number, success: true },
                    Action::Report { runner: number, success: false },
                ]),
                Phase::Reporting { .. } => actions.push(Action::Heartbeat { runner: number }),
            }
        }
        for message in &world.network {
            actions.extend([true, false].map(|answered| Action::Deliver { message: *message, answered }));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(self, action);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("at most one complete ends the job", |_, world: &World| world.completions <= 1),
            Property::always(STALE_WRITE, |_, world: &World| world.stale_writes == 0),
            Property::always("one runner at most works under the lease of the job", |_, world: &World| {
                world.runners.iter().filter(|runner| world.holds(**runner)).count() <= 1
            }),
            Property::always("an end is never left", |_, world: &World| {
                world.first_end.is_none() || world.first_end == world.end()
            }),
            Property::always("a job is never stuck", |_, world: &World| world.can_go_on()),
        ];
        if self.runners.contains(&Client::Fencing) {
            properties.extend([
                Property::sometimes("a job succeeds after its first holder was lost", |_, world: &World| {
                    world.end().is_some_and(|(status, _)| status == JobStatus::Succeeded)
                        && world.job().history().past.iter().any(|past| past.revoked)
                }),
                Property::sometimes("a report of a stale holder is refused and kept", |_, world: &World| {
                    world.job().history().past.iter().any(|past| past.was_refused)
                }),
            ]);
        }
        if self.cancels > 0 {
            properties.push(Property::sometimes(
                "a cancelled job keeps what its holder reported",
                |_, world: &World| {
                    world.end().is_some_and(|(status, result)| {
                        status == JobStatus::Cancelled && result != ResultDigest::of(None)
                    })
                },
            ));
        }
        if self.runners.contains(&Client::Legacy) && !self.retry_on_runner_lost {
            properties.push(Property::sometimes("a job waits for a runner that fences", |_, world: &World| {
                matches!(world.job().state(), JobState::Queued(queued) if queued.history.needs_fencing)
            }));
        }
        properties
    }
}

impl LeaseProtocol {
    #[expect(clippy::print_stdout, reason = "how much was searched belongs to the proof")]
    fn assert_holds(self, name: &str) {
        let checker = self.checker().threads(2).spawn_bfs().join();
        println!(
            "{name}: {} states, {} of them different",
            checker.state_count(),
            checker.unique_state_count()
        );
        checker.assert_properties();
    }

    /// Checks that the search finds a write by a runner that does not hold the job, and prints the path to it.
    #[expect(clippy::print_stdout, reason = "the way to the damage is worth reading")]
    fn assert_stale_write_is_found(self, name: &str) {
        let checker = self.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let path: Path<World, Action> = checker.assert_any_discovery(STALE_WRITE);
        println!("{name}: found among {} states:", checker.unique_state_count());
        for action in path.into_actions() {
            println!("  {action:?}");
        }
    }
}

#[test]
fn two_runners_that_fence_share_a_job_safely() {
    FENCING.assert_holds("two runners that fence");
}

#[test]
fn a_legacy_holder_and_a_runner_that_fences_share_a_job_safely() {
    LEGACY.assert_holds("a legacy holder and a runner that fences");
}

#[test]
fn two_legacy_runners_share_a_job_safely() {
    LeaseProtocol { runners: [Client::Legacy, Client::Legacy], ..LEGACY }.assert_holds("two legacy runners");
}

#[test]
fn without_the_comparison_of_leases_a_stale_holder_writes() {
    LeaseProtocol { guard: Guard::LeasesIgnored, ..FENCING }.assert_stale_write_is_found("leases ignored");
}

#[test]
fn a_pipeline_that_retries_lost_legacy_runners_anywhere_may_take_the_report_of_the_lost_one() {
    LeaseProtocol { runners: [Client::Legacy, Client::Legacy], retry_on_runner_lost: true, ..LEGACY }
        .assert_stale_write_is_found("retry_on_runner_lost");
}
