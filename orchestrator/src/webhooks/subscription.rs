//! The task of one webhook: follows the feed, delivers its events, and retries or pauses.
//!
//! The position and the progress are saved after each failure, and at most once a second while deliveries succeed.
//! After a crash, what was delivered since the last save is delivered again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use chrono::{DateTime, Utc};
use reqwest::Url;
use rivet_events::deliveries::Delivery;
use rivet_events::log::{ReadError, StoreError};
use rivet_events::webhook::PauseCause;
use rivet_events::{Position, StreamId};
use rivet_projections::webhooks::Webhook;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::message::Message;
use super::progress::{Attempt, Progress};
use super::sender::Answer;
use super::signature::SigningKey;
use super::{PAUSE, Webhooks};
use crate::commands::metadata;
use crate::domain::webhook::{PauseWebhook, WebhookCommand};
use crate::feed::{FeedEvent, Filter, Follower};
use crate::random;
use crate::telemetry::chain;

/// How often the position is saved while deliveries succeed.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Bytes of events in a batch at most; a single event may be larger.
const MAX_BATCH_BYTES: usize = 1 << 20;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An active webhook, and what its deliveries need.
pub(super) struct Subscription {
    webhooks: Webhooks,
    webhook: Webhook,
}

/// Why deliveries cannot go on, or could not be saved.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error(transparent)]
    Feed(#[from] ReadError),
    #[error("the deliveries cannot be read or saved")]
    Store(#[source] StoreError),
    #[error("the webhook cannot be paused")]
    Pause(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The state of a webhook's deliveries while its task runs.
struct DeliveryState {
    target: Url,
    key: SigningKey,
    /// Every event up to here was delivered, or does not pass the filter.
    position: Position,
    progress: Progress,
    /// The position that is saved.
    saved: Position,
    /// When saving was tried last.
    save_tried_at: Instant,
}

/// The outcome of a message.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    /// The task was told to stop first.
    Stopped,
    /// It cannot be delivered: the webhook is to be paused at it.
    GivenUp(PauseCause, String),
}

impl Subscription {
    pub(super) fn new(webhooks: Webhooks, webhook: Webhook) -> Self {
        Self { webhooks, webhook }
    }

    /// Delivers until `stop`, or until the webhook is paused. After an error it goes on where it was, not at what was
    /// saved last: while nothing can be saved, that would deliver the same again and again.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut state = None;
        while let Err(error) = self.deliver(&mut state, &stop).await {
            tracing::warn!(webhook.id = %self.webhook.id, error = %chain(&error), "deliveries are tried again soon");
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn deliver(
        &self,
        state: &mut Option<DeliveryState>,
        stop: &CancellationToken,
    ) -> Result<(), DeliveryError> {
        if state.is_none() {
            *state = self.load_state().await?;
        }
        let Some(state) = state else { return Ok(()) };
        let filter = Filter {
            types: self.webhook.types.clone(),
            pipeline_id: self.webhook.pipeline_id,
            ..Filter::default()
        };
        let mut follower = self.webhooks.feed.follow(filter, state.position);
        loop {
            let next = follower.next(Instant::now() + SAVE_EVERY);
            match stop.run_until_cancelled(next).await.transpose()? {
                None => break,
                Some(Some(event)) if !self.is_own(&event) => {
                    let message = self.message(event, &mut follower);
                    let first = message.first.position();
                    state.position = Position(first.0 - 1);
                    match self.deliver_message(&message, state, stop).await? {
                        Outcome::Delivered => state.position = message.last,
                        Outcome::Stopped => break,
                        Outcome::GivenUp(cause, error) => return self.pause(cause, error, first).await,
                    }
                }
                Some(Some(_) | None) => state.position = follower.position(),
            }
            if state.position > state.saved && state.save_tried_at.elapsed() >= SAVE_EVERY {
                self.save(state).await;
            }
        }
        self.save(state).await;
        Ok(())
    }

    /// Whether the event is about this webhook itself. Such events are not delivered: a webhook that is paused for
    /// failures would fail to deliver that it was paused, for ever.
    fn is_own(&self, event: &FeedEvent) -> bool {
        event.envelope.stream == StreamId::webhook(self.webhook.id)
    }

    /// The message that begins with an event: it alone, or a batch with those that were read after it, up to the
    /// batch size of the webhook.
    fn message(&self, first: Arc<FeedEvent>, follower: &mut Follower) -> Message {
        let Some(batch_size) = self.webhook.batch_size else { return Message::single(first) };
        let (mut more, mut bytes) = (Vec::new(), first.json().len());
        while more.len() + 1 < batch_size as usize
            && let Some(next) = follower.peek()
            && !self.is_own(next)
        {
            bytes += next.json().len();
            if bytes > MAX_BATCH_BYTES {
                break;
            }
            more.extend(follower.take());
        }
        Message::batch(first, &more)
    }

    /// Loads the saved state. Pauses the webhook and returns `None` if its URL or its secret cannot be used.
    async fn load_state(&self) -> Result<Option<DeliveryState>, DeliveryError> {
        let kept = self.webhooks.deliveries.find(self.webhook.id).await.map_err(DeliveryError::Store)?;
        let (target, key, kept) = match self.usable(kept) {
            Ok(usable) => usable,
            Err(error) => {
                let head = self.webhooks.feed.head().await?;
                self.pause(PauseCause::SecretMissing, error.to_owned(), head).await?;
                return Ok(None);
            }
        };
        let mut progress = Progress::read(&kept.progress);
        if self
            .webhook
            .resumed_at
            .is_some_and(|resumed| progress.failing_since.is_some_and(|at| at < resumed))
        {
            progress.forget_failures();
        }
        Ok(Some(DeliveryState {
            target,
            key,
            position: kept.position,
            progress,
            saved: kept.position,
            save_tried_at: Instant::now(),
        }))
    }

    /// The URL, the key and the rest of what is kept, or why they cannot be used.
    fn usable(&self, kept: Option<Delivery>) -> Result<(Url, SigningKey, Delivery), &'static str> {
        let kept = kept.ok_or("its secret is not there")?;
        let target = self.webhook.url.parse().map_err(|_| "its URL is not valid")?;
        let key = SigningKey::new(&kept.secret).map_err(|_| "its secret is not valid")?;
        Ok((target, key, kept))
    }

    /// Sends a message, with retries, until it is delivered or given up.
    async fn deliver_message(
        &self,
        message: &Message,
        state: &mut DeliveryState,
        stop: &CancellationToken,
    ) -> Result<Outcome, DeliveryError> {
        loop {
            let wait = state.progress.wait(self.webhooks.clock.now());
            let attempt = async {
                // A sleep of zero would last until the next tick of the timer, and so cost each delivery a
                // millisecond.
                if let Some(wait) = wait {
                    tokio::time::sleep(wait).await;
                }
                self.attempt(message, state).await
            };
            let Some((attempt, is_gone)) = stop.run_until_cancelled(attempt).await else {
                return Ok(Outcome::Stopped);
            };
            self.webhooks.metrics.attempted(attempt.error.is_none());
            let Some(error) = attempt.error.clone() else {
                state.progress.succeeded(attempt);
                return Ok(Outcome::Delivered);
            };
            let tried_at = attempt.attempted_at;
            state.progress.failed(attempt, random::draw());
            self.save(state).await;
            if is_gone {
                return Ok(Outcome::GivenUp(PauseCause::Gone, error));
            }
            if state.progress.has_failed_for(self.webhooks.config.webhooks.retry_for, tried_at) {
                return Ok(Outcome::GivenUp(PauseCause::Failing, error));
            }
        }
    }

    /// Sends a message once. Also returns whether the receiver is gone for good (status 410).
    async fn attempt(&self, message: &Message, state: &DeliveryState) -> (Attempt, bool) {
        let attempted_at = self.webhooks.clock.now();
        let began = Instant::now();
        let headers = headers(message, attempted_at, &state.key);
        let answer = self.webhooks.sender.send(state.target.clone(), headers, message.body.clone()).await;
        let (status, error) = match answer {
            Answer::Status(status) if status.is_success() => (Some(status), None),
            Answer::Status(status) => (Some(status), Some(format!("it answered {status}"))),
            Answer::None(error) => (None, Some(error)),
        };
        let attempt = Attempt {
            position: message.first.position(),
            events: message.events,
            event_id: message.first.envelope.event_id,
            r#type: message.first.envelope.event.event_type().to_owned(),
            attempted_at,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            status: status.map(|status| status.as_u16()),
            error,
        };
        (attempt, status == Some(StatusCode::GONE))
    }

    /// Saves the state. If that fails, deliveries go on, and it is saved next time.
    async fn save(&self, state: &mut DeliveryState) {
        let progress = state.progress.text();
        let saved = self.webhooks.deliveries.save(self.webhook.id, state.position, &progress).await;
        state.save_tried_at = Instant::now();
        match saved.map_err(DeliveryError::Store) {
            Ok(()) => state.saved = state.position,
            Err(error) => {
                tracing::warn!(webhook.id = %self.webhook.id, error = %chain(&error), "deliveries go on unsaved");
            }
        }
    }

    async fn pause(&self, cause: PauseCause, error: String, position: Position) -> Result<(), DeliveryError> {
        let pause = PauseWebhook { cause, error: error.clone(), position, now: self.webhooks.clock.now() };
        let webhooks = &self.webhooks.commands.webhooks;
        let paused =
            webhooks.execute(self.webhook.id, WebhookCommand::Pause(pause), &metadata("webhooks")).await;
        // There is nothing to record where it was deleted meanwhile, or paused by another replica.
        if paused.map_err(|error| DeliveryError::Pause(error.into()))?.position.is_some() {
            tracing::warn!(webhook.id = %self.webhook.id, ?cause, error, "a webhook is paused");
        }
        Ok(())
    }
}

fn headers(message: &Message, now: DateTime<Utc>, key: &SigningKey) -> HeaderMap {
    let timestamp = now.timestamp().to_string();
    let signature = key.sign(&message.id, &timestamp, &message.body);
    let value = |text: &str| HeaderValue::from_str(text).expect("invariant: it is visible ASCII");
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, message.content_type.clone()),
        (ID, value(&message.id)),
        (TIMESTAMP, value(&timestamp)),
        (SIGNATURE, value(&signature)),
    ])
}
