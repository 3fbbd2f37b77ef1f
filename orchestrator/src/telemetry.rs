//! Logging and tracing: log lines on stderr, human-readable or as JSON, and (with the feature `otlp`) the export of
//! spans to an OpenTelemetry collector.
//!
//! The log lines and their fields are specified in `docs/logging.md`.

#[cfg(feature = "otlp")]
mod otlp;

use std::error::Error;
use std::fmt;
use std::io;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

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
        LogFormat::Human => lines.event_format(Human).with_filter(filter).boxed(),
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

/// A readable line: the compact one, without the target of an event whose span has the same name, as that of a request.
struct Human;

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let target = event.metadata().target();
        let is_named = context.lookup_current().is_some_and(|span| span.name() == target);
        format().compact().with_target(!is_named).format_event(context, writer, event)
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

#[cfg(test)]
mod tests;
