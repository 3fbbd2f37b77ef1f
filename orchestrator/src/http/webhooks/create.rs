//! `POST /api/webhooks`: creates a webhook. Its secret and its progress are stored aside from the log.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use reqwest::Url;
use rivet_events::deliveries::WebhookSecret;
use rivet_events::id::{PipelineId, WebhookId};
use rivet_events::{Event, Position};
use rivet_projections::webhooks::{self as rows, WebhookStatus};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};

use super::body::Webhook;
use crate::domain::webhook::{CreateWebhook, WebhookCommand};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json};
use crate::http::openapi::one_of;
use crate::http::state::{AppState, unknown_pipeline};
use crate::webhooks::address;
use crate::webhooks::progress::Progress;
use crate::webhooks::signature::SigningKey;

/// Longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// Most events of one delivery.
const MAX_BATCH: u32 = 256;

/// The schema of a list of event types.
fn types() -> Schema {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(RefOr::T(one_of(Event::types())))
        .into()
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookRequest, example = json!({
    "url": "https://example.com/hook",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "types": ["job.completed"],
}))]
pub(in crate::http) struct CreateRequest {
    /// Where events are delivered to: http or https, at most 2,048 bytes.
    url: String,
    /// What deliveries are signed with: `whsec_` and 24 to 64 bytes in base64.
    secret: String,
    /// Only events of these types; all where empty or absent.
    #[schema(schema_with = types)]
    types: Option<Vec<String>>,
    /// Only events of this pipeline, of its jobs and of their logs.
    pipeline_id: Option<PipelineId>,
    /// Most events of one delivery, which is then a batch; 1 to 256. Each event by itself where absent.
    #[schema(minimum = 1, maximum = 256)]
    batch_size: Option<u32>,
    /// Only events after this position; only new ones where absent.
    after: Option<u64>,
}

/// Create a webhook.
///
/// Its secret is kept, and never returned.
#[utoipa::path(
    post, path = "/api/webhooks", operation_id = "createWebhook", tag = "Webhooks",
    request_body = CreateRequest,
    responses(
        (status = 201, description = "The webhook", body = Webhook, headers(("Rivet-Position" = u64))),
        (status = 404, description = "`pipeline_not_found`"),
        (status = 422, description = "`invalid_webhook`, `private_address`"),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    Client(metadata): Client,
    Json(body): Json<CreateRequest>,
) -> Result<Recorded<(StatusCode, JsonBody<Webhook>)>, ApiError> {
    let url = checked_url(&body.url, state.config.webhooks.allow_private)?;
    let secret = WebhookSecret::from(body.secret);
    SigningKey::new(&secret).map_err(|error| refused(&format!("secret: {error}")))?;
    let types = body.types.unwrap_or_default();
    if let Some(unknown) = types.iter().find(|name| !Event::types().any(|known| known == *name)) {
        return Err(refused(&format!("types: there is no event type {unknown:?}")));
    }
    if body.batch_size.is_some_and(|size| !(1..=MAX_BATCH).contains(&size)) {
        return Err(refused(&format!("batch_size: must be from 1 to {MAX_BATCH}")));
    }
    if let Some(pipeline_id) = body.pipeline_id
        && state.commands.pipelines.load(pipeline_id).await?.state.newest().is_none()
    {
        return Err(unknown_pipeline(pipeline_id));
    }
    let head = state.feed.head().await?;
    let after = body.after.map_or(head, Position);
    if after > head {
        return Err(refused("after: has not come yet"));
    }
    let (webhook_id, now) = (WebhookId::generate(), state.clock.now());
    // Stored before the event, so that there is never a webhook without its secret.
    let begun = state.deliveries.begin(webhook_id, &secret, after, &Progress::default().text()).await;
    begun.map_err(|error| ApiError::store(&error))?;
    let create = CreateWebhook {
        webhook_id,
        url: url.clone(),
        types: types.clone(),
        pipeline_id: body.pipeline_id,
        batch_size: body.batch_size,
        now,
    };
    let committed =
        state.commands.webhooks.execute(webhook_id, WebhookCommand::Create(create), &metadata).await?;
    let webhook = rows::Webhook {
        id: webhook_id,
        url,
        types,
        pipeline_id: body.pipeline_id,
        batch_size: body.batch_size,
        status: WebhookStatus::Active,
        paused: None,
        created_at: now,
        resumed_at: None,
    };
    Ok(Recorded(state.position_of(&committed).await?, (StatusCode::CREATED, JsonBody(webhook.into()))))
}

/// The URL in its normal form, if it is allowed.
fn checked_url(text: &str, allow_private: bool) -> Result<String, ApiError> {
    let url: Url = text.parse().map_err(|error| refused(&format!("url: {error}")))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(refused("url: must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("url: must not hold a password, since everybody can read it"));
    }
    if url.as_str().len() > MAX_URL {
        return Err(refused(&format!("url: is longer than {MAX_URL} bytes")));
    }
    if !allow_private && address::literal(&url).is_some_and(|address| !address::is_public(address)) {
        return Err(ApiError::refused("private_address", "url: is not a public address"));
    }
    Ok(url.into())
}

fn refused(detail: &str) -> ApiError {
    ApiError::refused("invalid_webhook", detail)
}
