//! Logging and tracing: log lines on stderr, human-readable or as JSON, with one line for each request, and (with the
//! feature `otlp`) request spans for an OpenTelemetry collector.
//!
//! The log lines and their fields are specified in `docs/logging.md`.

#[cfg(feature = "otlp")]
mod otlp;

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Instant;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use clap::{Args, ValueEnum};
use rivet_events::id::RunnerId;
use tower_http::request_id::{MakeRequestId, MakeRequestUuid};
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Span, error_span, field};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The header for the id of a request, in the request and in the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is accepted from a client, in bytes.
const MAX_REQUEST_ID: usize = 128;
/// Endpoints that clients call again and again: a success is logged at DEBUG instead of INFO.
const FREQUENT: [(Method, &str); 18] = [
    (Method::GET, "/api/events"),
    (Method::GET, "/api/health"),
    (Method::GET, "/api/jobs"),
    (Method::POST, "/api/jobs/claim"),
    (Method::GET, "/api/jobs/scheduled"),
    (Method::GET, "/api/jobs/{id}"),
    (Method::GET, "/api/jobs/{id}/logs"),
    (Method::POST, "/api/jobs/{id}/logs"),
    (Method::GET, "/api/projections"),
    (Method::GET, "/api/projections/{name}/parked"),
    (Method::GET, "/api/runners"),
    // Heartbeats. The wildcard is there because a runner's name may contain slashes.
    (Method::POST, "/api/runners/{*id}"),
    (Method::GET, "/api/stats"),
    (Method::GET, "/api/stats/history"),
    (Method::GET, "/assets/{build}/{*path}"),
    (Method::GET, "/livez"),
    (Method::GET, "/metrics"),
    (Method::GET, "/readyz"),
];

/// How the log is written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LogOptions {
    /// Form of the log lines on stderr
    #[arg(long = "log-format", env = "RIVET_LOG_FORMAT", value_enum, default_value_t)]
    pub format: LogFormat,

    /// What is logged: a level, or directives such as info,http.request=debug
    #[arg(long = "log-filter", env = "RIVET_LOG", value_name = "FILTER", default_value = "info", value_parser = filter)]
    pub filter: String,

    /// Where the spans of requests go: an OpenTelemetry collector, such as `http://127.0.0.1:4318/v1/traces`
    #[cfg(feature = "otlp")]
    #[arg(long = "otlp-endpoint", env = "RIVET_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line, coloured on a terminal
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

impl LogOptions {
    /// Only warnings and errors, for commands that write their own output to stderr.
    #[must_use]
    pub(crate) fn warnings() -> Self {
        Self {
            format: LogFormat::Human,
            filter: "warn".to_owned(),
            #[cfg(feature = "otlp")]
            otlp_endpoint: None,
        }
    }
}

/// Parses a filter. A directive that is a single word must be a level: `EnvFilter` would take any other word for the
/// name of a crate, so that a misspelt level would silence everything.
fn filter(text: &str) -> Result<String, String> {
    let is_word = |directive: &&str| !directive.contains(['=', '[']) && !directive.contains("::");
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    if let Some(word) = text.split(',').filter(is_word).find(|word| !is_level(word)) {
        return Err(format!("{word:?} is no level: off, error, warn, info, debug, trace, or 0 to 5"));
    }
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Keep this for as long as the process runs: dropping it sends the last spans.
#[derive(Debug)]
#[must_use]
pub(crate) struct Telemetry {
    #[cfg(feature = "otlp")]
    spans: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

#[cfg(feature = "otlp")]
impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.spans.take().map(|spans| spans.shutdown()) {
            tracing::warn!(error = %chain(&error), "the last spans were not sent");
        }
    }
}

/// Starts logging to stderr for the whole process, and exporting spans if the options give an endpoint.
///
/// # Errors
/// If the filter or the endpoint is invalid, or logging was started before.
pub(crate) fn init(options: &LogOptions) -> Result<Telemetry, Box<dyn Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&options.filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colours(&io::stderr()));
    let lines = match options.format {
        LogFormat::Human => lines.compact().with_filter(filter).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed()
        }
    };
    let registry = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    {
        let spans = options.otlp_endpoint.as_deref().map(otlp::exporter).transpose()?;
        registry.with(spans.as_ref().map(otlp::layer)).try_init()?;
        Ok(Telemetry { spans })
    }
    #[cfg(not(feature = "otlp"))]
    {
        registry.try_init()?;
        Ok(Telemetry {})
    }
}

/// Whether `output` may have colours: it is a terminal, and the environment (such as `NO_COLOR`) does not forbid
/// them.
pub(crate) fn colours(output: &impl RawStream) -> bool {
    output.is_terminal() && AutoStream::choice(output) != ColorChoice::Never
}

/// Shows an error and its sources in one line: `cannot open the database: connection refused`. A source that the
/// error above it quotes at its end is not repeated.
#[must_use]
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> ErrorChain<'a> {
    ErrorChain(error)
}

/// See [`chain`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorChain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.to_string();
        f.write_str(&shown)?;
        let mut error = self.0;
        while let Some(source) = error.source() {
            let text = source.to_string();
            if !shown.ends_with(&text) {
                write!(f, ": {text}")?;
                shown = text;
            }
            error = source;
        }
        Ok(())
    }
}

/// The id of a request: the client's own, or a new one. Handlers find it in the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(pub String);

/// Adds the runner's name to the log line of the current request.
pub(crate) fn note_runner(runner: &RunnerId) {
    Span::current().record("runner.id", field::display(runner));
}

/// Middleware: gives the request its [`RequestId`], echoes it in the answer, and logs the request in one line.
/// Layer it on the router with `axum::middleware::from_fn`, outside everything else.
pub(crate) async fn request_context(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    // At the level ERROR, which is not shown, so that a filter that lets only errors through does not take the id of
    // the request from them.
    let span = error_span!("http.request", request.id = id.0, runner.id = field::Empty);
    let line = RequestLine::new(&request);
    #[cfg(feature = "otlp")]
    otlp::continue_trace(&span, &line, request.headers());
    let header = HeaderValue::from_str(&id.0).ok();
    request.extensions_mut().insert(id);
    async move {
        let mut response = next.run(request).await;
        line.answered(response.status());
        #[cfg(feature = "otlp")]
        otlp::answered(&Span::current(), response.status());
        if let Some(id) = header {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}

fn request_id(request: &Request) -> RequestId {
    let sent = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match sent {
        Some(id) if is_sane(id) => RequestId(id.to_owned()),
        Some(_) | None => RequestId(new_request_id(request)),
    }
}

fn is_sane(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn new_request_id(request: &Request) -> String {
    let id = MakeRequestUuid.make_request_id(request);
    id.and_then(|id| id.header_value().to_str().map(str::to_owned).ok()).unwrap_or_default()
}

/// The log line of a request. It is written on drop: when the answer begins, or when the client disconnects before
/// that.
struct RequestLine {
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    began: Instant,
    status: Option<StatusCode>,
}

impl RequestLine {
    fn new(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: request.extensions().get().cloned(),
            began: Instant::now(),
            status: None,
        }
    }

    /// Writes the line, by dropping it.
    fn answered(mut self, status: StatusCode) {
        self.status = Some(status);
    }

    fn is_frequent(&self) -> bool {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        FREQUENT.iter().any(|(method, frequent)| self.method == *method && route == Some(*frequent))
    }
}

/// A macro, since `tracing` needs the level of an event at compile time.
macro_rules! write_line {
    ($level:ident, $line:expr, $message:literal) => {
        tracing::event!(
            target: "http.request",
            tracing::Level::$level,
            http.method = %$line.method,
            http.path = $line.uri.path(),
            http.route = $line.route.as_ref().map(MatchedPath::as_str),
            http.status = $line.status.map(|status| status.as_u16()),
            duration_ms = u64::try_from($line.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            $message
        )
    };
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        match self.status {
            None => write_line!(DEBUG, self, "abandoned by the client"),
            Some(StatusCode::SERVICE_UNAVAILABLE) => write_line!(WARN, self, "answered"),
            Some(status) if status.is_server_error() => write_line!(ERROR, self, "answered"),
            Some(status) if status.is_success() && self.is_frequent() => {
                write_line!(DEBUG, self, "answered");
            }
            Some(_) => write_line!(INFO, self, "answered"),
        }
    }
}

#[cfg(test)]
mod tests;
