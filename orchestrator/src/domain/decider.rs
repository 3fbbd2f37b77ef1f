//! Makes a [`Decider`], a state with its rules, an aggregate of cqrs-es.

use std::error::Error;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use rivet_events::StreamType;
use rivet_events::cqrs::AggregateEvent;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::NamedCommand;

/// The state of one kind of aggregate, and its rules: what a command records, and how an event changes the state.
pub trait Decider: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of its streams.
    const KIND: StreamType;
    /// The commands that it takes.
    type Command: Clone + NamedCommand + Send;
    /// The events that it records.
    type Event: AggregateEvent;
    /// Why it refuses a command.
    type Error: Error + Send + Sync;

    /// Decides a command: returns the events to record, or why it is refused.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// The state after an event.
    #[must_use]
    fn evolve(self, event: Self::Event) -> Self;

    /// The state after these events.
    #[must_use]
    fn after(&self, events: &[Self::Event]) -> Self {
        events.iter().cloned().fold(self.clone(), Self::evolve)
    }

    /// Size in bytes of the data whose size clients choose, for a cache with a capacity in bytes. Other fields do not
    /// count.
    fn weight(&self) -> usize {
        0
    }
}

/// The aggregate of cqrs-es, for its stores and its test framework.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AggregateOf<S> {
    /// Its state, folded from its events.
    pub state: S,
}

impl<S: Decider> Aggregate for AggregateOf<S> {
    const TYPE: &'static str = S::KIND.as_str();
    type Command = S::Command;
    type Event = S::Event;
    type Error = S::Error;
    type Services = ();

    async fn handle(&mut self, command: S::Command, (): &(), sink: &EventSink<Self>) -> Result<(), S::Error> {
        for event in self.state.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: S::Event) {
        self.state = std::mem::take(&mut self.state).evolve(event);
    }
}
