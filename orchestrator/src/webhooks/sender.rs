//! Sends one delivery over HTTP: only to a public address, without following redirects, and in bounded time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::net::lookup_host;

use super::address::{is_public, literal};
use crate::telemetry::chain;

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole delivery.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer's body that are read and ignored, so that its connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends deliveries. Clones share one connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client,
    allow_private: bool,
}

/// The outcome of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The receiver answered.
    Status(StatusCode),
    /// There was no answer, for this reason.
    None(String),
}

/// The host of a webhook has no public address.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no public address")]
struct NotPublic {
    host: String,
}

impl Sender {
    /// Sends to private addresses too if `allow_private`.
    pub(crate) fn new(allow_private: bool) -> Self {
        let mut client = Client::builder()
            .user_agent(concat!("rivet-orchestrator/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // A proxy would resolve the name itself, and so evade the check of its addresses.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if !allow_private {
            client = client.dns_resolver(Arc::new(PublicNames));
        }
        let client = client.build().expect("invariant: the settings of the client fit each other");
        Self { client, allow_private }
    }

    /// Sends `body` in a POST request.
    pub(super) async fn send(&self, url: Url, headers: HeaderMap, body: Bytes) -> Answer {
        if !self.allow_private
            && let Some(address) = literal(&url)
            && !is_public(address)
        {
            return Answer::None(NotPublic { host: address.to_string() }.to_string());
        }
        match self.client.post(url).headers(headers).body(body).send().await {
            Ok(mut response) => {
                let mut read = 0;
                while read < MAX_ANSWER
                    && let Ok(Some(chunk)) = response.chunk().await
                {
                    read += chunk.len();
                }
                Answer::Status(response.status())
            }
            Err(error) => Answer::None(chain(&error.without_url()).to_string()),
        }
    }
}

/// A DNS resolver that returns only public addresses. The connection is made to the addresses checked here, so a name
/// that resolves to other ones later (DNS rebinding) gains nothing.
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> =
                lookup_host((host, 0)).await?.filter(|address| is_public(address.ip())).collect();
            if found.is_empty() {
                return Err(NotPublic { host: host.to_owned() }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
