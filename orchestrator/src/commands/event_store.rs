//! [`Executor`] as a cqrs-es [`EventStore`], so that the tools of that framework work on our log.

use std::collections::HashMap;
use std::fmt::Debug;

use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};
use rivet_events::cqrs::AggregateEvent;
use rivet_events::log::AppendError;
use rivet_events::{Metadata, Version};

use super::executor::{Executor, Loaded, stream_of};
use crate::domain::{NamedCommand, Weigh};

impl<A: Aggregate> AggregateContext<A> for Loaded<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A> EventStore<A> for Executor<A>
where
    A: Aggregate<Event: AggregateEvent, Services = (), Command: Clone + NamedCommand>
        + Clone
        + Debug
        + Weigh
        + 'static,
{
    type AC = Loaded<A>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let envelopes = self.log().read_stream(&stream_of::<A>(id), Version::default()).await;
        let envelopes = envelopes.map_err(|error| AggregateError::DatabaseConnectionError(error.0))?;
        let events = envelopes.iter().map(|envelope| {
            let payload = A::Event::from_event(&envelope.event)
                .ok_or_else(|| AggregateError::DeserializationError(envelope.stream.to_string().into()))?;
            Ok(EventEnvelope {
                aggregate_id: envelope.stream.id.clone(),
                sequence: sequence(envelope.sequence),
                payload: payload.clone(),
                metadata: envelope.metadata.to_map(),
            })
        });
        events.collect()
    }

    async fn load_aggregate(&self, id: &str) -> Result<Loaded<A>, AggregateError<A::Error>> {
        self.load(id).await.map_err(|error| AggregateError::UnexpectedError(error.to_string().into()))
    }

    /// Appends `events`. The aggregate in `context` has already applied them.
    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Loaded<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(vec![]);
        }
        let aggregate = context.aggregate.clone();
        let committed = events.clone();
        let (id, first) = (context.id().to_owned(), sequence(context.version) + 1);
        self.append(context, aggregate, events, Metadata::from_map(metadata.clone()), &[]).await.map_err(
            |error| match error {
                AppendError::Conflict { .. } => AggregateError::AggregateConflict,
                AppendError::Overloaded => AggregateError::UnexpectedError(error.into()),
                AppendError::Unavailable(error) => AggregateError::DatabaseConnectionError(error),
            },
        )?;
        let envelopes = committed.into_iter().enumerate().map(|(index, payload)| EventEnvelope {
            aggregate_id: id.clone(),
            sequence: first + index,
            payload,
            metadata: metadata.clone(),
        });
        Ok(envelopes.collect())
    }
}

fn sequence(version: Version) -> usize {
    usize::try_from(version.0).unwrap_or(usize::MAX)
}
