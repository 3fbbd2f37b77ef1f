//! A small test framework for aggregates: given these events, when this command comes, then these events follow or
//! this refusal.

use std::fmt;

use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateResultValidator, AggregateTestExecutor, TestFramework};
use futures_util::FutureExt;

/// An aggregate after these events.
pub(super) fn given<A: Aggregate<Services = ()>>(events: impl Into<Vec<A::Event>>) -> Given<A> {
    Given(TestFramework::with(()).given(events.into()))
}

pub(super) struct Given<A: Aggregate>(AggregateTestExecutor<A>);

impl<A: Aggregate> Given<A> {
    pub(super) fn when(self, command: impl Into<A::Command>) -> Outcome<A> {
        Outcome(self.0.when(command.into()))
    }
}

pub(super) struct Outcome<A: Aggregate>(AggregateResultValidator<A>);

impl<A: Aggregate> Outcome<A>
where
    A::Error: PartialEq,
{
    #[track_caller]
    pub(super) fn then(self, events: impl Into<Vec<A::Event>>) {
        self.0.then_expect_events(events.into());
    }

    /// No event follows: what the command asks is already so.
    #[track_caller]
    pub(super) fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub(super) fn then_refused(self, error: A::Error) {
        self.0.then_expect_error(error);
    }
}

/// Lets an aggregate handle a command. Returns the events that it recorded, and has applied, or its refusal.
pub(super) fn handle<A: Aggregate<Services = ()>>(
    aggregate: &mut A,
    command: A::Command,
) -> Result<Vec<A::Event>, A::Error>
where
    A::Error: fmt::Debug,
{
    let sink = cqrs_es::event_sink::EventSink::default();
    aggregate.handle(command, &(), &sink).now_or_never().expect("invariant: the rules never wait")?;
    Ok(sink.collect().now_or_never().expect("invariant: the sink never waits"))
}
