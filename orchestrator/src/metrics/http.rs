//! Metrics of requests, by route, method and status.
//!
//! axum wraps each endpoint in its own copy of the layer, so each endpoint has its own table of metric handles,
//! indexed by method and status. An entry is looked up in the registry at its first use, and from then on by its two
//! indexes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::response::Response;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::GaugeGuard;
use super::registry::Registry;

const DURATIONS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Methods with an entry of their own; the last stands for all others.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "other"];
/// Statuses with an entry: those that this server answers with. Others are looked up each time.
const STATUSES: [u16; 18] =
    [200, 201, 202, 204, 304, 308, 400, 403, 404, 405, 409, 412, 413, 415, 416, 422, 500, 503];
/// The label for a path that matches no route.
const UNKNOWN: &str = "unknown";

/// The metrics of all requests.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl HttpMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.counters(
                "rivet_http_requests_total",
                "Requests that were answered, by route, method and status.",
                &["route", "method", "status"],
            ),
            durations: registry.histograms(
                "rivet_http_request_duration_seconds",
                "Time from the head of a request to the head of its answer; long polls wait on purpose.",
                &["route", "method"],
                &DURATIONS,
            ),
            in_flight: registry.gauge("rivet_http_requests_in_flight", "Requests that have no answer yet."),
        }
    }
}

/// The layer that counts requests. Add it to the router, outside of everything that may answer.
#[derive(Debug, Clone)]
pub(crate) struct CountRequests(Arc<HttpMetrics>);

impl CountRequests {
    /// Counts requests in these metrics.
    #[must_use]
    pub(crate) fn new(metrics: Arc<HttpMetrics>) -> Self {
        Self(metrics)
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: Arc::clone(&self.0), slots: Arc::default() }
    }
}

/// An endpoint whose requests are counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    metrics: Arc<HttpMetrics>,
    slots: Arc<[OnceLock<Arc<MethodSlots>>; METHODS.len()]>,
}

/// The metric handles of one route and method.
#[derive(Debug)]
struct MethodSlots {
    route: String,
    method: &'static str,
    duration: Histogram,
    answers: [OnceLock<IntCounter>; STATUSES.len()],
}

impl<S> Counted<S> {
    fn slots(&self, request: &Request) -> Arc<MethodSlots> {
        let place = METHODS.iter().position(|method| request.method() == *method);
        let place = place.unwrap_or(METHODS.len() - 1);
        let slots = self.slots[place].get_or_init(|| {
            let route = request.extensions().get::<MatchedPath>().map_or(UNKNOWN, MatchedPath::as_str);
            let method = METHODS[place];
            Arc::new(MethodSlots {
                route: route.to_owned(),
                method,
                duration: self.metrics.durations.with_label_values(&[route, method]),
                answers: Default::default(),
            })
        });
        Arc::clone(slots)
    }
}

impl MethodSlots {
    fn count(&self, metrics: &HttpMetrics, status: StatusCode, began: Instant) {
        let status = status.as_u16();
        let counter = || metrics.requests.with_label_values(&[&self.route, self.method, &status.to_string()]);
        match STATUSES.iter().position(|known| *known == status) {
            Some(place) => self.answers[place].get_or_init(counter).inc(),
            None => counter().inc(),
        }
        self.duration.observe(began.elapsed().as_secs_f64());
    }
}

impl<S> Service<Request> for Counted<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    /// A request whose client disconnects before the answer leaves the gauge of requests in flight, and is not
    /// counted.
    fn call(&mut self, request: Request) -> Self::Future {
        let began = Instant::now();
        let in_flight = GaugeGuard::new(self.metrics.in_flight.clone());
        let (slots, metrics) = (self.slots(&request), Arc::clone(&self.metrics));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            slots.count(&metrics, response.status(), began);
            drop(in_flight);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests;
