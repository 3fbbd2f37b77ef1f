//! Requests, by route, method and status.
//!
//! The layer is laid around each endpoint by itself, so each has slots of its own for its counters: a slot is filled
//! when it is first needed, and from then on it is found by two indexes.

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

use super::Present;
use super::registry::Registry;

const DURATIONS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Methods that have a slot, the last for all others.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "other"];
/// Statuses that have a slot: those that this server gives.
const STATUSES: [u16; 15] = [200, 201, 202, 204, 400, 404, 405, 409, 412, 413, 415, 416, 422, 500, 503];
/// The route of a path that matches none.
const UNKNOWN: &str = "unknown";

/// The metrics of all requests.
#[derive(Debug)]
pub struct HttpMetrics {
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

/// Counts requests. Layer it on the router, outside everything that may answer.
#[derive(Debug, Clone)]
pub struct CountRequests(Arc<HttpMetrics>);

impl CountRequests {
    /// Counts them in these metrics.
    #[must_use]
    pub fn new(metrics: Arc<HttpMetrics>) -> Self {
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
pub struct Counted<S> {
    inner: S,
    metrics: Arc<HttpMetrics>,
    slots: Arc<[OnceLock<Arc<MethodSlots>>; METHODS.len()]>,
}

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

    /// A request whose client leaves before the answer is no longer in flight, and is not counted.
    fn call(&mut self, request: Request) -> Self::Future {
        let began = Instant::now();
        let in_flight = Present::new(self.metrics.in_flight.clone());
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
