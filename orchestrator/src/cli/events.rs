//! `events list` and `events tail`: print the log, as it is and as it grows.

use std::io::{self, BufWriter, Write};
use std::mem;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser};
use clap::{Args, Subcommand};
use rivet_events::log::EventLog;
use rivet_events::{Envelope, Event, Position};

use super::output::{one_line, summary, write_json};
use super::store::open_log;
use crate::config::DatabaseOptions;
use crate::feed::EventBody;
use crate::telemetry::chain;

/// Events read at a time.
const PAGE: usize = 500;
/// How often the log is asked for what other processes append.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum EventsSubcommand {
    /// List events in order of their positions
    List {
        /// Begin after this position
        #[arg(long, value_name = "POSITION", default_value = "0", value_parser = position())]
        after: u64,

        /// List at most so many events
        #[arg(long, value_name = "COUNT", default_value = "100")]
        limit: NonZeroUsize,

        #[command(flatten)]
        options: EventsOptions,
    },
    /// Follow the log: print events as they are recorded
    Tail {
        /// Begin after this position [default: the end of the log]
        #[arg(long, value_name = "POSITION", value_parser = position())]
        after: Option<u64>,

        /// End after so many events [default: never]
        #[arg(long, value_name = "COUNT")]
        limit: Option<NonZeroUsize>,

        #[command(flatten)]
        options: EventsOptions,
    },
}

#[derive(Debug, Args)]
pub(super) struct EventsOptions {
    /// Only events of this type, such as job.claimed, or of several with commas between them; may be repeated
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(Event::types()),
        hide_possible_values = true
    )]
    types: Vec<String>,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

/// A position that a log can have.
fn position() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(..=i64::MAX.cast_unsigned())
}

pub(super) async fn run(command: EventsSubcommand) -> anyhow::Result<()> {
    match command {
        EventsSubcommand::List { after, limit, options } => {
            let log = open_log(&options.database).await?;
            Printer { options, left: limit.get() }.print_to(&*log, Position(after), AtEnd::Stop).await
        }
        EventsSubcommand::Tail { after, limit, options } => {
            let log = open_log(&options.database).await?;
            let after = match after {
                Some(after) => Position(after),
                None => log.head().await?,
            };
            let left = limit.map_or(usize::MAX, NonZeroUsize::get);
            Printer { options, left }.print_to(&*log, after, AtEnd::Wait).await
        }
    }
}

/// What to do at the end of the log.
#[derive(Clone, Copy)]
enum AtEnd {
    Stop,
    Wait,
}

struct Printer {
    options: EventsOptions,
    /// Events that may still be printed.
    left: usize,
}

impl Printer {
    #[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
    async fn print_to(
        mut self,
        log: &dyn EventLog,
        mut after: Position,
        at_end: AtEnd,
    ) -> anyhow::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut growth = log.watch();
        let mut is_reachable = true;
        while self.left > 0 {
            let events = match (log.read_all(after, PAGE).await, at_end) {
                (Ok(events), _) => events,
                (Err(error), AtEnd::Stop) => return Err(error.into()),
                (Err(error), AtEnd::Wait) => {
                    // Once for each outage, however long it takes.
                    if mem::replace(&mut is_reachable, false) {
                        eprintln!("waiting: {}", chain(&error));
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                    continue;
                }
            };
            is_reachable = true;
            for event in &events {
                self.print(&mut out, event)?;
            }
            out.flush()?;
            match (events.last(), at_end) {
                (Some(last), _) => after = last.position,
                (None, AtEnd::Stop) => break,
                (None, AtEnd::Wait) => {
                    // Whether the log has grown or the time is over: the log is read again.
                    let _ = tokio::time::timeout(POLL_INTERVAL, growth.changed()).await;
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, out: &mut impl Write, event: &Envelope) -> io::Result<()> {
        let types = &self.options.types;
        let is_wanted = types.is_empty() || types.iter().any(|wanted| wanted == event.event.event_type());
        if !is_wanted || self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        if self.options.json {
            write_json(out, &EventBody::from(event))
        } else {
            writeln!(
                out,
                "{:>8}  {}  {}",
                event.position,
                summary(event),
                one_line(&event.stream.to_string())
            )
        }
    }
}
