//! Metrics of requests, by route, method and status.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use super::GaugeGuard;
use super::registry::Registry;

const DURATIONS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Methods with a label of their own.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
/// The label of all other methods: a client may send any.
const OTHER: &str = "other";
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

    /// Counts a request as in flight, until the returned guard is dropped.
    #[must_use]
    pub(crate) fn in_flight(&self) -> GaugeGuard {
        GaugeGuard::new(self.in_flight.clone())
    }

    /// Counts a request that was answered. `route` is the template that its path matched.
    pub(crate) fn answered(&self, route: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
        let route = route.unwrap_or(UNKNOWN);
        let method = METHODS.into_iter().find(|known| method == known).unwrap_or(OTHER);
        self.requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.durations.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_template_method_and_status() {
        let registry = Registry::default();
        let metrics = HttpMetrics::new(&registry);
        let things = Some("/things/{id}");
        for (route, method, status) in [
            (things, "GET", 200),
            (things, "GET", 200),
            (things, "DELETE", 204),
            (Some("/pot"), "GET", 418),
            (None, "PATCH", 404),
            (None, "X-ANY", 404),
        ] {
            let (method, status) = (method.parse().unwrap(), StatusCode::from_u16(status).unwrap());
            metrics.answered(route, &method, status, Duration::ZERO);
        }
        let text = registry.text();
        for (route, method, status, count) in [
            ("/things/{id}", "GET", 200, 2),
            ("/things/{id}", "DELETE", 204, 1),
            ("/pot", "GET", 418, 1),
            (UNKNOWN, OTHER, 404, 2),
        ] {
            let line = format!(
                "rivet_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
