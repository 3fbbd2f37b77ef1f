//! The metrics of the server, for Prometheus.
//!
//! Counters and histograms are updated where things happen, mostly through handles that were looked up beforehand, so
//! that an update is an atomic addition. State (of the queue, the runners, the read models, the process) is read at
//! each scrape, in `scrape`.
//!
//! Labels have few values: never an id, a name that a client chose, or a path as it was sent. CONTRIBUTING.md says how
//! to add a metric.

mod commands;
mod http;
mod jobs;
mod log;
mod process;
mod registry;
mod scrape;
mod workers;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus::{IntGauge, IntGaugeVec};

pub(crate) use commands::{CommandCounts, CommandMetrics, Outcome};
pub(crate) use http::HttpMetrics;
pub(crate) use jobs::JobMetrics;
pub(crate) use log::LogMetrics;
pub(crate) use registry::{CONTENT_TYPE, Registry};
pub(crate) use scrape::scrape;
pub(crate) use workers::WorkerMetrics;

/// All metrics that are updated as things happen. One per server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Commands, by their outcome.
    pub commands: CommandMetrics,
    /// How long jobs wait and run, and how they end.
    pub jobs: Arc<JobMetrics>,
    /// Appends to the log.
    pub log: Arc<LogMetrics>,
    /// Requests.
    pub http: Arc<HttpMetrics>,
    /// Deliveries to webhooks, and the archive.
    pub workers: Arc<WorkerMetrics>,
    streams: IntGaugeVec,
    /// When the server began.
    pub started_at: DateTime<Utc>,
}

/// A kind of server-sent event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// All events of the log.
    Events,
    /// The log of one job.
    JobLogs,
}

impl Stream {
    const ALL: [Self; 2] = [Self::Events, Self::JobLogs];

    fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::JobLogs => "job_logs",
        }
    }
}

impl Metrics {
    /// Creates all metrics, at zero. The server starts at `now`.
    #[must_use]
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        let registry = Registry::default();
        let streams =
            registry.gauges("rivet_sse_clients", "Clients of live streams, by the stream.", &["stream"]);
        for stream in Stream::ALL {
            streams.with_label_values(&[stream.as_str()]).set(0);
        }
        let build = registry.gauges("rivet_build_info", "1, labelled with what runs.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            commands: CommandMetrics::new(&registry),
            jobs: Arc::new(JobMetrics::new(&registry)),
            log: Arc::new(LogMetrics::new(&registry)),
            http: Arc::new(HttpMetrics::new(&registry)),
            workers: Arc::new(WorkerMetrics::new(&registry)),
            streams,
            started_at: now,
            registry,
        }
    }

    /// Counts one client of a stream, until the returned guard is dropped.
    #[must_use]
    pub(crate) fn stream_client(&self, stream: Stream) -> GaugeGuard {
        GaugeGuard::new(self.streams.with_label_values(&[stream.as_str()]))
    }
}

/// Increments a gauge, and decrements it on drop.
#[derive(Debug)]
pub(crate) struct GaugeGuard(IntGauge);

impl GaugeGuard {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_a_stream_counts_until_it_leaves() {
        let metrics = Metrics::new(DateTime::UNIX_EPOCH);
        let clients = || metrics.streams.with_label_values(&["job_logs"]).get();
        let client = metrics.stream_client(Stream::JobLogs);
        assert_eq!(clients(), 1);
        drop(client);
        assert_eq!(clients(), 0);
    }
}
