//! Random operations.

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// One operation. A job is named by a number, taken modulo the number of jobs.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Launch {
        pipeline: usize,
        key: Option<u8>,
        body: u8,
    },
    Claim {
        job: usize,
        runner: usize,
        fencing: bool,
        key: Option<u8>,
    },
    ClaimNext {
        runner: usize,
    },
    Status {
        job: usize,
        sender: Sender,
        word: &'static str,
    },
    Complete {
        job: usize,
        sender: Sender,
        result: Outcome,
    },
    Log {
        job: usize,
        sender: Sender,
        offset: Option<u64>,
        lines: Vec<u8>,
    },
    Cancel {
        job: usize,
        force: bool,
    },
    Retry {
        job: usize,
    },
    Heartbeat {
        job: usize,
        sender: Sender,
        runner: usize,
    },
    /// Time passes.
    Wait,
}

/// Which lease of the job is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sender {
    /// None: a client that does not echo leases.
    Nobody,
    Last,
    First,
    /// A lease that the server never gave out.
    Stranger,
}

/// The result that a runner reports.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Success,
    Failure,
    /// Another failure, whose result differs from the first one.
    OtherFailure,
}

/// Number of jobs that most operations choose from.
const JOBS: usize = 3;
/// Statuses for `PUT status`, including one that it refuses.
const WORDS: &[&str] = &["Running", "Running", "Succeeded", "Failed", "Cancelled", "Queued"];

pub(super) fn any_operation() -> impl Strategy<Value = Operation> {
    let job = || 0..JOBS;
    let runner = || 0..super::RUNNERS;
    let key = || option::weighted(0.4, 0..2_u8);
    let offset = option::weighted(0.6, 0..4_u64);
    prop_oneof![
        2 => (0..super::PIPELINES, key(), 0..2_u8)
            .prop_map(|(pipeline, key, body)| Operation::Launch { pipeline, key, body }),
        4 => (job(), runner(), weighted(0.4), key())
            .prop_map(|(job, runner, fencing, key)| Operation::Claim { job, runner, fencing, key }),
        2 => runner().prop_map(|runner| Operation::ClaimNext { runner }),
        3 => (job(), any_sender(), select(WORDS))
            .prop_map(|(job, sender, word)| Operation::Status { job, sender, word }),
        4 => (job(), any_sender(), any_outcome())
            .prop_map(|(job, sender, result)| Operation::Complete { job, sender, result }),
        4 => (job(), any_sender(), offset, vec(0..3_u8, 0..3))
            .prop_map(|(job, sender, offset, lines)| Operation::Log { job, sender, offset, lines }),
        1 => (job(), any::<bool>()).prop_map(|(job, force)| Operation::Cancel { job, force }),
        1 => job().prop_map(|job| Operation::Retry { job }),
        1 => (job(), any_sender(), runner())
            .prop_map(|(job, sender, runner)| Operation::Heartbeat { job, sender, runner }),
        2 => Just(Operation::Wait),
    ]
}

fn any_sender() -> impl Strategy<Value = Sender> {
    prop_oneof![4 => Just(Sender::Nobody), 4 => Just(Sender::Last), 1 => Just(Sender::First), 1 => Just(Sender::Stranger)]
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![2 => Just(Outcome::Success), 3 => Just(Outcome::Failure), 1 => Just(Outcome::OtherFailure)]
}
