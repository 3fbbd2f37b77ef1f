//! A small test framework for aggregates: given these events, when this command comes, then these events follow or
//! this refusal.

use cqrs_es::test::{AggregateResultValidator, AggregateTestExecutor, TestFramework};

use super::{AggregateOf, Decider};

/// An aggregate after these events.
pub(super) fn given<S: Decider>(events: impl Into<Vec<S::Event>>) -> Given<S> {
    Given(TestFramework::with(()).given(events.into()))
}

pub(super) struct Given<S: Decider>(AggregateTestExecutor<AggregateOf<S>>);

impl<S: Decider> Given<S> {
    pub(super) fn when(self, command: impl Into<S::Command>) -> Outcome<S> {
        Outcome(self.0.when(command.into()))
    }
}

pub(super) struct Outcome<S: Decider>(AggregateResultValidator<AggregateOf<S>>);

impl<S: Decider<Error: PartialEq>> Outcome<S> {
    #[track_caller]
    pub(super) fn then(self, events: impl Into<Vec<S::Event>>) {
        self.0.then_expect_events(events.into());
    }

    /// No event follows: what the command asks is already so.
    #[track_caller]
    pub(super) fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub(super) fn then_refused(self, error: S::Error) {
        self.0.then_expect_error(error);
    }
}

/// Lets a state decide on a command, and go on to what it recorded. Returns these events, or the refusal.
pub(super) fn handle<S: Decider>(state: &mut S, command: S::Command) -> Result<Vec<S::Event>, S::Error> {
    let events = state.decide(command)?;
    *state = state.after(&events);
    Ok(events)
}
