//! Laws of a job that hold for any history: random commands from right and wrong senders at random times.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::domain::job::{Ended, History, JobState};

/// Which lease a sender echoes.
#[derive(Debug, Clone, Copy)]
enum Token {
    Absent,
    /// The lease of the last claim that won (0), or of the one so many before it.
    Given(u32),
    Invented,
}

/// A command, without its time, and with its lease relative to the claims that have won until then.
#[derive(Debug, Clone)]
enum Step {
    Launch,
    Claim { fencing: bool, replay: bool },
    Start(Token),
    ShowLease(u32),
    Complete(Token, Report),
    Refuse(u32),
    Cancel { force: bool },
    Expire { earlier: u32, rebooted: bool },
    TimeOut,
    Purge,
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        3 => Just(Token::Absent),
        6 => Just(Token::Given(0)),
        2 => (1_u32..3).prop_map(Token::Given),
        1 => Just(Token::Invented),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let status = prop_oneof![
        1 => Just(JobStatus::Succeeded),
        4 => Just(JobStatus::Failed),
        1 => Just(JobStatus::Cancelled),
        1 => Just(JobStatus::TimedOut),
        1 => Just(JobStatus::Running),
    ];
    (status, prop::option::of(0..2))
        .prop_map(|(status, exit_code)| Report { status, result: exit_code.map(result) })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Launch),
        8 => (any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(fencing, replay)| Step::Claim { fencing, replay }),
        4 => token().prop_map(Step::Start),
        2 => (0_u32..3).prop_map(Step::ShowLease),
        4 => (token(), report()).prop_map(|(token, report)| Step::Complete(token, report)),
        2 => (0_u32..3).prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(|force| Step::Cancel { force }),
        6 => (prop_oneof![4 => Just(0), 1 => Just(1_u32)], prop::bool::weighted(0.2))
            .prop_map(|(earlier, rebooted)| Step::Expire { earlier, rebooted }),
        1 => Just(Step::TimeOut),
        1 => Just(Step::Purge),
    ]
}

/// Seconds from one command to the next: mostly short, sometimes past a lease or a deadline, and backwards where
/// another server with another clock is asked.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..130_i64, 2 => -10..0_i64, 2 => 130..1000_i64, 1 => 3600..90_000_i64]
}

fn any_launch() -> impl Strategy<Value = JobLaunched> {
    (0_u32..4, any::<bool>(), prop::option::of(60_u64..600)).prop_map(
        |(max_retries, retry_on_runner_lost, timeout_seconds)| JobLaunched {
            max_retries,
            timeout_seconds,
            retry_on_runner_lost,
            ..launch()
        },
    )
}

fn any_life() -> impl Strategy<Value = Vec<Moment>> {
    (any_launch(), prop::collection::vec((pause(), step()), 1..40))
        .prop_map(|(launch, steps)| live(launch, &steps))
}

/// One command in the life of a job, with the job before and after it.
#[derive(Debug)]
struct Moment {
    before: JobState,
    command: JobCommand,
    recorded: Result<Vec<JobEvent>, JobError>,
    after: JobState,
}

impl Moment {
    fn events(&self) -> &[JobEvent] {
        self.recorded.as_deref().unwrap_or_default()
    }
}

fn live(launch: JobLaunched, steps: &[(i64, Step)]) -> Vec<Moment> {
    let first = LaunchJob { launch: Box::new(launch) }.into();
    let (mut job, mut now, mut claimed, mut moments) = (JobState::default(), 0, vec![], vec![]);
    for step in std::iter::once(None).chain(steps.iter().map(Some)) {
        let command = match step {
            None => JobCommand::clone(&first),
            Some((pause, step)) => {
                now += pause;
                command(step, &claimed, u32::try_from(moments.len()).unwrap(), now)
            }
        };
        let before = job.clone();
        let recorded = spec::handle(&mut job, command.clone());
        if let Ok([JobEvent::Claimed(claim)]) = recorded.as_deref() {
            claimed.push(claim.clone());
        }
        moments.push(Moment { before, command, recorded, after: job.clone() });
    }
    moments
}

/// The command of a step. `claimed` are the claims that won until now; `fresh` is a number not used before.
fn command(step: &Step, claimed: &[JobClaimed], fresh: u32, now: i64) -> JobCommand {
    let given = |earlier: u32| {
        let claim = claimed.iter().rev().nth(earlier.try_into().unwrap());
        claim.map_or(lease(u32::MAX), |claim| claim.lease_id)
    };
    let echoed = |token| match token {
        Token::Absent => None,
        Token::Given(earlier) => Some(given(earlier)),
        Token::Invented => Some(lease(u32::MAX)),
    };
    match step {
        Step::Launch => LaunchJob { launch: Box::new(launch()) }.into(),
        Step::Claim { fencing, replay } => {
            let request_key = Some(format!("key-{fresh}"));
            let claim = ClaimJob { fencing: *fencing, request_key, ..claim(fresh, now) };
            match claimed.last().filter(|_| *replay) {
                Some(JobClaimed { runner_id, request_key, .. }) => {
                    ClaimJob { runner_id: runner_id.clone(), request_key: request_key.clone(), ..claim }
                        .into()
                }
                None => claim.into(),
            }
        }
        Step::Start(token) => start(echoed(*token), now),
        Step::ShowLease(earlier) => JobCommand::ShowLease(ShowLease { lease: given(*earlier), now: at(now) }),
        Step::Complete(token, report) => complete(echoed(*token), report.clone(), now),
        Step::Refuse(earlier) => {
            JobCommand::RefuseReport(RefuseReport { lease: given(*earlier), report: success(), now: at(now) })
        }
        Step::Cancel { force } => CancelJob { force: *force, ..cancel(now) }.into(),
        Step::Expire { earlier, rebooted } => {
            ExpireLease { lease_id: given(*earlier), rebooted: *rebooted, ..expire(0, now) }.into()
        }
        Step::TimeOut => time_out(now),
        Step::Purge => JobCommand::Purge(PurgeJob { ended_until: at(now - 100), now: at(now) }),
    }
}

/// Any event, whether or not it fits.
fn any_event() -> impl Strategy<Value = JobEvent> {
    let cause = prop_oneof![
        Just(RequeueCause::Failed),
        Just(RequeueCause::RunTimeout),
        Just(RequeueCause::RunnerLost)
    ];
    (0..12, prop_oneof![4 => 0_u32..4, 1 => Just(u32::MAX)], -100..100_i64, cause).prop_map(
        |(kind, attempt, second, cause)| match kind {
            0 => launched(),
            1 => claimed(attempt, second),
            2 => claimed_unfenced(attempt, second),
            3 => started(attempt, second),
            4 => expired(attempt, ExpiryCause::Silent, second),
            5 => JobEvent::Requeued(requeue_recorded(attempt, cause, second)),
            6 => JobEvent::CancelRequested(cancel_requested(second)),
            7 => refused(attempt, second),
            8 => succeeded(attempt, second),
            9 => JobEvent::Cancelled(cancelled(second)),
            10 => JobEvent::TimedOut(timed_out(attempt, "too long", second)),
            _ => purged(second),
        },
    )
}

#[test]
fn random_lives_reach_every_event_and_every_refusal_that_they_can() {
    let mut runner = TestRunner::deterministic();
    let (mut types, mut refusals) = (BTreeSet::new(), HashSet::new());
    for _ in 0..300 {
        for moment in any_life().new_tree(&mut runner).unwrap().current() {
            types.extend(moment.events().iter().map(JobEvent::event_type));
            refusals.extend(moment.recorded.err().map(|error| std::mem::discriminant(&error)));
        }
    }
    assert_eq!(types.len(), 12, "{types:?}");
    // All but NotFound and CapabilityMissing: these jobs were launched, and demand nothing.
    assert_eq!(refusals.len(), 10, "{refusals:?}");
}

proptest! {
    #[test]
    fn evolve_takes_any_event_and_never_leaves_an_end(events in prop::collection::vec(any_event(), 0..30)) {
        let mut job = JobState::default();
        for event in events {
            let before = end(&job);
            job = job.evolve(event);
            prop_assert!(before.is_none() || before == end(&job));
        }
    }

    #[test]
    fn replaying_what_was_recorded_leads_to_the_same_job(life in any_life()) {
        let mut replayed = JobState::default();
        for moment in &life {
            replayed = replayed.after(moment.events());
            prop_assert_eq!(&replayed, &moment.after);
        }
        let stored = serde_json::to_string(&replayed).unwrap();
        prop_assert_eq!(serde_json::from_str::<JobState>(&stored).unwrap(), replayed);
    }

    #[test]
    fn every_recorded_event_changes_the_job(life in any_life()) {
        for moment in &life {
            let mut job = moment.before.clone();
            for event in moment.events() {
                let before = job.clone();
                job = job.evolve(event.clone());
                prop_assert_ne!(&before, &job, "{:?} does not fit", event);
            }
        }
    }

    #[test]
    fn after_an_end_only_refused_reports_and_that_it_is_purged_are_recorded(life in any_life()) {
        for moment in life.iter().filter(|moment| end(&moment.before).is_some()) {
            let of_an_ended = |event| matches!(event, &JobEvent::ReportRefused(_) | &JobEvent::Purged(_));
            prop_assert!(moment.events().iter().all(of_an_ended), "{:?}", moment);
            prop_assert_eq!(end(&moment.before), end(&moment.after));
        }
    }

    #[test]
    fn a_job_has_one_holder_at_most_and_its_attempts_count_up_by_one(life in any_life()) {
        let (mut holder, mut attempts) = (None, 0);
        for event in life.iter().flat_map(Moment::events) {
            match event {
                JobEvent::Claimed(claimed) => {
                    prop_assert_eq!(holder, None);
                    prop_assert_eq!(claimed.attempt, attempts + 1);
                    attempts = claimed.attempt;
                    holder = Some(claimed.attempt);
                }
                JobEvent::Started(started) => prop_assert_eq!(holder, Some(started.attempt)),
                JobEvent::LeaseShown(shown) => prop_assert_eq!(holder, Some(shown.attempt)),
                JobEvent::LeaseExpired(expired) => prop_assert_eq!(holder, Some(expired.attempt)),
                JobEvent::Requeued(requeued) => prop_assert_eq!(holder.take(), Some(requeued.attempt)),
                JobEvent::Completed(completed) => prop_assert_eq!(holder.take(), Some(completed.attempt)),
                JobEvent::Cancelled(_) | JobEvent::TimedOut(_) => holder = None,
                JobEvent::CancelRequested(_) => prop_assert!(holder.is_some()),
                JobEvent::Launched(_) | JobEvent::ReportRefused(_) | JobEvent::Purged(_) => {}
            }
        }
    }

    #[test]
    fn only_the_lease_of_the_holder_writes(life in any_life()) {
        for moment in &life {
            let (JobCommand::Start(StartJob { lease: echoed, .. })
            | JobCommand::Complete(CompleteJob { lease: echoed, .. })) = &moment.command
            else {
                continue;
            };
            if moment.events().is_empty() {
                continue;
            }
            let JobState::Running(running) = &moment.before else {
                return Err(TestCaseError::fail("a write was taken of a job that nobody holds"));
            };
            let holder = &running.holder;
            let is_holder = echoed.map_or(!holder.fencing, |lease| lease == holder.lease_id);
            prop_assert!(is_holder, "{:?}", moment);
        }
    }

    #[test]
    fn a_command_repeated_at_once_records_nothing_more(life in any_life()) {
        for moment in life.iter().filter(|moment| !moment.events().is_empty()) {
            // Without a lease, the report of a new attempt cannot be told from a repeated one.
            let unfenced = matches!(&moment.command, JobCommand::Complete(CompleteJob { lease: None, .. }));
            let launching = matches!(&moment.command, JobCommand::Launch(_));
            if !unfenced && !launching {
                prop_assert_eq!(spec::handle(&mut moment.after.clone(), moment.command.clone()), Ok(vec![]));
            }
        }
    }

    #[test]
    fn a_waiting_job_can_always_be_claimed_and_a_running_one_always_be_freed(life in any_life()) {
        for moment in &life {
            let mut job = moment.after.clone();
            match &job {
                JobState::Queued(queued) => {
                    let claim = ClaimJob { now: queued.due_at, ..claim(u32::MAX, 0) };
                    spec::handle(&mut job, claim.into()).unwrap();
                    prop_assert!(matches!(job, JobState::Running(_)));
                }
                JobState::Running(running) => {
                    let expire = ExpireLease {
                        lease_id: running.holder.lease_id,
                        ..expire(0, 1_000_000_000)
                    };
                    spec::handle(&mut job, expire.into()).unwrap();
                    prop_assert!(matches!(job, JobState::Queued(_) | JobState::Ended(_)));
                }
                JobState::Absent | JobState::Ended(_) => {}
            }
        }
    }
}

/// The end of the job, without what may still change after it: refused reports that are recorded, and that it is
/// purged.
fn end(job: &JobState) -> Option<Ended> {
    match job {
        JobState::Ended(ended) => Some(Ended { history: History::default(), purged: false, ..ended.clone() }),
        JobState::Absent | JobState::Queued(_) | JobState::Running(_) => None,
    }
}
