//! [`Executor`] as a cqrs-es [`EventStore`], so that the tools of that framework work on our log.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use rivet_events::cqrs::AggregateEvent;
use rivet_events::id::CommandId;
use rivet_events::log::AppendError;
use rivet_events::{Metadata, StreamId, Version};

use super::CommandError;
use super::executor::{Executor, Loaded};
use crate::domain::{AggregateOf, Decider};

/// An aggregate that a command of the framework changes in place, and as it was before.
#[derive(Debug)]
pub(crate) struct Context<S> {
    loaded: Loaded<S>,
    after: AggregateOf<S>,
}

impl<S: Decider> AggregateContext<AggregateOf<S>> for Context<S> {
    fn aggregate(&mut self) -> &mut AggregateOf<S> {
        &mut self.after
    }
}

impl<S: Decider> EventStore<AggregateOf<S>> for Executor<S> {
    type AC = Context<S>;

    async fn load_events(
        &self,
        id: &str,
    ) -> Result<Vec<EventEnvelope<AggregateOf<S>>>, AggregateError<S::Error>> {
        let envelopes = self.log().read_stream(&StreamId::new(S::KIND, id), Version::default()).await;
        let envelopes = envelopes.map_err(|error| AggregateError::DatabaseConnectionError(error.0))?;
        let events = envelopes.iter().map(|envelope| {
            let payload = S::Event::from_event(&envelope.event)
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

    /// The aggregate as it is now: the framework does not decide again where a stale state has refused a command.
    async fn load_aggregate(&self, id: &str) -> Result<Context<S>, AggregateError<S::Error>> {
        let loaded = self.load_fresh(id).await.map_err(load_error)?;
        Ok(Context { after: AggregateOf { state: S::clone(&loaded.state) }, loaded })
    }

    /// Appends `events`, which the aggregate in `context` has already applied.
    async fn commit(
        &self,
        events: Vec<S::Event>,
        context: Context<S>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<AggregateOf<S>>>, AggregateError<S::Error>> {
        if events.is_empty() {
            return Ok(vec![]);
        }
        let mut metadata = Metadata::from_map(metadata);
        metadata.command_id.get_or_insert_with(CommandId::generate);
        let Context { loaded, after } = context;
        let (id, first) = (loaded.id().to_owned(), sequence(loaded.version) + 1);
        let appended =
            self.append(loaded, Arc::new(after.state), events.clone(), metadata.clone(), &[]).await;
        appended.map_err(|error| match error {
            AppendError::Conflict { .. } => AggregateError::AggregateConflict,
            AppendError::Overloaded => AggregateError::UnexpectedError(error.into()),
            AppendError::Unavailable(error) => AggregateError::DatabaseConnectionError(error),
        })?;
        let envelopes = events.into_iter().enumerate().map(|(index, payload)| EventEnvelope {
            aggregate_id: id.clone(),
            sequence: first + index,
            payload,
            metadata: metadata.to_map(),
        });
        Ok(envelopes.collect())
    }
}

fn load_error<E: std::error::Error>(error: CommandError<E>) -> AggregateError<E> {
    match error {
        CommandError::Refused(refusal) => AggregateError::UserError(refusal),
        CommandError::Unavailable(error) => AggregateError::DatabaseConnectionError(error),
        CommandError::Corrupt(_, error) => AggregateError::DeserializationError(error),
        CommandError::Contended(_) | CommandError::Stale(_) | CommandError::Overloaded => {
            AggregateError::UnexpectedError(error.to_string().into())
        }
    }
}

fn sequence(version: Version) -> usize {
    usize::try_from(version.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
